"""Pure tensor functions shared by networks, flow and training."""
