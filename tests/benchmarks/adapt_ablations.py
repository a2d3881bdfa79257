"""The paper's ablations: part c of the benchmark of `adapt`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapt_clips import Clip, Size, adapted, gains, line, loaded, mean

from selfhvd_cli.adaptation.job import SCRATCH

ABLATIONS: dict[str, dict[str, Any]] = {
    "both": {},
    "SEVD only": {"scscm": False},
    "SCSCM only": {"sevd": False},
    "neither": {"sevd": False, "scscm": False},
    "no RSCR": {"rscr": False},
    "no SIS": {"sis": False},
    "no RSCR, no SIS": {"rscr": False, "sis": False},
    "masks none": {"masks": "none"},
    "masks occlusion": {"masks": "occlusion"},
    "masks uncertainty": {"masks": "uncertainty"},
    "segment 5": {"segment": 5},
    "segment 10": {"segment": 10},
    "segment 30": {"segment": 30},
    "refreshes 1": {"refreshes": 1},
    "refreshes 3": {"refreshes": 3},
    "re-blurred 0.3 (ours)": {"reblurred": 0.3},
    "recorded labels (paper)": {"restored_labels": False},
    "one label a frame (paper)": {"neighbours": 1},
    "flow lite": {"flow": "lite"},
}


def part_c(clips: list[Clip], folder: Path, size: Size, init: str | None, only: Sequence[str]) -> None:
    """The paper's ablations, judged by the weights handed out; `--init scratch` begins with fresh parameters."""
    fresh = init == SCRATCH
    size = size.for_scratch() if fresh else size
    print(f"\n(c) ablations with lite, {size.steps} steps, mean over clips; gain over the input in dB")
    chosen = [name for name in ABLATIONS if not only or name in only]
    line("as shipped", mean([gains(loaded("lite", None if fresh else init), clip) for clip in clips]))
    for name in chosen:
        found = [gains(adapted(clip, folder, size, init, **ABLATIONS[name])[0], clip) for clip in clips]
        line(name, mean(found), " ".join(f"{each['blurry']:+.2f}" for each in found))
