"""Numbers for how good a video looks."""
