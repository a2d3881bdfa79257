"""Files to frames and back; the only folder that imports av."""
