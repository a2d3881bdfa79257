"""From a network to restored frames: conventions, windows, tiles, and the guard."""
