"""Deblurs a clip and makes a page of it: python examples/deblur_with_report.py CLIP"""

import sys
from pathlib import Path

from selfhvd_cli import deblur, report

if __name__ == "__main__":
    clip = Path(sys.argv[1])
    done = deblur(clip, on_progress=lambda step: print(step.phase, step.done, step.total, end="\r"))
    print(f"{done.target}: {done.frames_changed} of {done.frames} frames changed in {done.seconds:.0f} s")
    for line in done.receipt["left_out"]:
        print("left out:", line["what"], line["reason"])
    page = report(done, clip.with_suffix(".html"))
    print(f"{page.target}: open it in a browser")
