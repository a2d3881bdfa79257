"""Restores the most blurred second of a clip at two strengths: python examples/compare_strengths.py CLIP"""

import sys
from pathlib import Path

from selfhvd_cli import taste

if __name__ == "__main__":
    clip = Path(sys.argv[1])
    for strength in (0.5, 1.0):
        made = taste(clip, clip.with_name(f"{clip.stem}_{strength}.mp4"), seconds=1, strength=strength)
        before, after = made.report.sharpness_before, made.report.sharpness_after
        print(f"{made.target}: from {float(made.start):.2f} s, sharpness {before.mean:.0f} to {after.mean:.0f}")
