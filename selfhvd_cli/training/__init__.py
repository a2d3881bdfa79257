"""The parts of SelfHVD's training."""
