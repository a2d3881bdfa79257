"""What the sharpness of a clip's frames says about it: even or not, blurred where, worth adapting to."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Literal

from selfhvd_cli.quality.names import quoted
from selfhvd_cli.training.sharpness import SharpFrames

Verdict = Literal["uneven", "sharp", "soft", "flat"]

EVEN = 0.8
"""Blurred frames that keep this share of the sharp ones' sharpness are no worse than them. Measured: 0.82-0.98 on
steady clips, 0.30-0.71 on clips with visible shake."""

SOFT = 0.52
"""Blur effect above which a clip's sharpest frames are blurred themselves: 0.18-0.39 on sharp phone clips, noise and
all, 0.55-0.68 on two phones that focus badly."""

FLAT = 1.0
"""Variance of the Laplacian of a picture that shows nothing: black, fog or a lens cap."""

ENOUGH = 5
"""Sharp frames that adaptation needs to learn from."""

GAP = Fraction(1, 10)
"""Seconds of sharpness between two blurred stretches below which they count as one."""


@dataclass(frozen=True)
class FrameSharpness:
    """One frame of the clip."""

    index: int
    time: Fraction
    """Seconds after the first frame."""

    sharpness: float
    """Variance of the Laplacian in squared 8-bit codes; compare it within one clip only."""

    level: float
    """Sharpness as a share of the nearest chosen frame's."""

    sharp: bool
    """Above Otsu's threshold."""

    chosen: bool
    """Taken as a sharp frame; also where it only is the sharpest of a blurred segment."""


@dataclass(frozen=True)
class BlurredStretch:
    """Consecutive blurred frames, with shorter sharp moments in between."""

    start: Fraction
    """Seconds after the clip's first frame."""

    end: Fraction
    """When the first sharp frame after it begins."""

    frames: int
    """Blurred ones."""

    level: float
    """Their mean sharpness as a share of the nearest sharp frames'."""


@dataclass(frozen=True)
class Inspection:
    """What a clip looks like to the method."""

    source: Path
    width: int
    height: int
    """Stored pixels."""

    seconds: float
    """Length of what was looked at."""

    threshold: float
    """Otsu's, over all frames, for where the scene is as rich as at the sharpest frame (`fair_scores`)."""

    separation: float
    """How well the threshold separates two kinds of frames, 0 to 1."""

    segment: int
    """Frames of a segment."""

    sharp_frames: int
    """Frames above the threshold."""

    chosen_frames: int
    """Sharp frames, plus the sharpest of each segment that has none."""

    contrast: float
    """Mean sharpness of the frames below the threshold as a share of those above; near 1 the clip is even."""

    blur: float
    """Blur effect of the segments' sharpest frames (median), 0 crisp to 1 blurred."""

    blurred_seconds: float
    """Together; 0 where the clip is even."""

    stretches: tuple[BlurredStretch, ...]
    """Where, in order; empty where the clip is even."""

    verdict: Verdict
    """uneven: sharp and blurred moments. sharp, soft: evenly so. flat: nothing to see."""

    deblur_helps: bool
    adapt_helps: bool
    """Whether there is enough blur, and enough sharpness to learn from."""

    advice: str
    """The verdict in words."""

    commands: tuple[str, ...]
    """What to type next; may be empty."""

    frames: tuple[FrameSharpness, ...]
    """Every frame in order."""

    deblur_device: str = ""
    """Where deblurring would run; empty where that was not estimated."""

    deblur_seconds: float | None = None
    """Time that the network would take there, from a short run of it."""

    deblur_memory: int | None = None
    """Bytes that it would need there."""


def judge(
    source: Path, size: tuple[int, int], sharp: SharpFrames, edges: Sequence[Fraction], blurs: Sequence[float]
) -> Inspection:
    """Say what a clip's scores mean.

    Args:
        source, size: the clip, and its width and height in pixels.
        edges: the frames' times and the end of the last one, seconds from 0.
        blurs: blur effect of each segment's sharpest frame.
    """
    above, chosen = set(sharp.above), set(sharp.indices)
    high = [sharp.scores[index] for index in above]
    low = [score for index, score in enumerate(sharp.scores) if index not in above]
    contrast = statistics.fmean(low) / statistics.fmean(high) if high and low else 1.0
    levels = [score / max(sharp.scores[sharp.nearest(index)], 1e-12) for index, score in enumerate(sharp.scores)]
    blur = statistics.median(blurs)
    verdict = _verdict(max(sharp.scores), contrast, blur)
    uneven = verdict == "uneven"
    blurred = [index for index in range(len(sharp)) if uneven and index not in above]
    adapt_helps = uneven and len(above) >= ENOUGH
    advice, commands = _advice(source, verdict, len(above), contrast, adapt_helps)
    return Inspection(
        source=source,
        width=size[0],
        height=size[1],
        seconds=float(edges[-1]),
        threshold=sharp.threshold,
        separation=sharp.separation,
        segment=sharp.segment,
        sharp_frames=len(above),
        chosen_frames=len(chosen),
        contrast=contrast,
        blur=blur,
        blurred_seconds=float(sum(edges[index + 1] - edges[index] for index in blurred)),
        stretches=_stretches(blurred, levels, edges),
        verdict=verdict,
        deblur_helps=uneven or verdict == "soft",
        adapt_helps=adapt_helps,
        advice=advice,
        commands=commands,
        frames=tuple(
            FrameSharpness(index, edges[index], score, levels[index], index in above, index in chosen)
            for index, score in enumerate(sharp.scores)
        ),
    )


def _verdict(sharpest: float, contrast: float, blur: float) -> Verdict:
    if sharpest < FLAT:
        return "flat"
    if contrast < EVEN:
        return "uneven"
    return "soft" if blur > SOFT else "sharp"


def _stretches(blurred: list[int], levels: Sequence[float], edges: Sequence[Fraction]) -> tuple[BlurredStretch, ...]:
    runs: list[list[int]] = []
    # Consecutive numbers keep their distance to a counter.
    for _, group in groupby(enumerate(blurred), key=lambda pair: pair[1] - pair[0]):
        run = [index for _, index in group]
        if runs and edges[run[0]] - edges[runs[-1][-1] + 1] < GAP:
            runs[-1] += run
        else:
            runs.append(run)
    return tuple(
        BlurredStretch(edges[run[0]], edges[run[-1] + 1], len(run), statistics.fmean(levels[index] for index in run))
        for run in runs
    )


def _advice(
    source: Path, verdict: Verdict, sharp: int, contrast: float, adapt_helps: bool
) -> tuple[str, tuple[str, ...]]:
    name = quoted(source)
    if verdict == "flat":
        return "The clip shows next to nothing (black or without texture): there is nothing to deblur.", ()
    if verdict == "sharp":
        return "The clip is evenly sharp: leave it as it is.", ()
    if verdict == "soft":
        return (
            "The clip is evenly soft (focus, compression or a smeared lens): deblurring may help a little, "
            "adapting will not, for there is no sharp moment to learn from.",
            (f"selfhvd deblur {name}",),
        )
    words = f"Sharp and blurred moments alternate (blurred frames are {contrast:.0%} as sharp): deblurring will help"
    if adapt_helps:
        return (
            f"{words}, and there are {sharp} sharp frames to adapt to.",
            (f"selfhvd deblur {name}", f"selfhvd deblur --adapt {name}"),
        )
    return (
        f"{words}. Adapting needs {ENOUGH} sharp frames or more, there are {sharp}: take a longer piece, or deblur "
        "without it.",
        (f"selfhvd deblur {name}",),
    )
