"""Optical flow between frames, and how far to trust it."""
