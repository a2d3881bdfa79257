"""Handheld clips made from sharp pictures."""
