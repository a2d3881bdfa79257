"""Says where a clip is blurred and exports its sharpest frames: python examples/sharpest_stills.py CLIP"""

import sys

from selfhvd_cli import inspect, still

if __name__ == "__main__":
    clip = sys.argv[1]
    found = inspect(clip, estimate=False)
    print(found.advice)
    for one in found.stretches:
        print(f"blurred from {float(one.start):.2f} s to {float(one.end):.2f} s ({one.level:.0%} as sharp)")
    for picture in still(clip, count=2, apart=0.1):
        print(f"{picture.path}: frame {picture.frame}, sharpness {picture.sharpness:.0f}")
