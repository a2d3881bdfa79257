"""Static HDR metadata in the words of each encoder: SMPTE ST 2086 mastering display, CTA-861.3 light level."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

from selfhvd_cli.video.info import HdrMetadata

CHROMATICITY_STEPS = 50000
LUMINANCE_STEPS = 10000
"""Units of ST 2086: 0.00002 and 0.0001 cd/m²."""


@dataclass(frozen=True)
class MasteringDisplay:
    """The display a film was graded on; (x, y) chromaticities and cd/m²."""

    red: tuple[Fraction, Fraction]
    green: tuple[Fraction, Fraction]
    blue: tuple[Fraction, Fraction]
    white: tuple[Fraction, Fraction]
    darkest: Fraction
    brightest: Fraction


def mastering_display(metadata: HdrMetadata) -> MasteringDisplay | None:
    """Read FFmpeg's AVMasteringDisplayMetadata; None where it is absent or incomplete.

    Implausible luminance is passed on as it is: the decoder of the output will judge it as that of the source did.
    """
    raw = metadata.mastering
    if raw is None or len(raw) < 88:
        return None
    numbers = struct.unpack("=22i", raw[:88])
    if not numbers[20] or any(bottom == 0 for bottom in numbers[1:20:2]):
        return None
    ratios = [Fraction(numbers[i], numbers[i + 1]) for i in range(0, 20, 2)]
    points = [(ratios[i], ratios[i + 1]) for i in range(0, 8, 2)]
    red, green, blue, white = points
    return MasteringDisplay(red, green, blue, white, ratios[8], ratios[9])


def light_level(metadata: HdrMetadata) -> tuple[int, int] | None:
    """(MaxCLL, MaxFALL) in cd/m²."""
    raw = metadata.light_level
    if raw is None or len(raw) < 8:
        return None
    brightest, average = struct.unpack("=2I", raw[:8])
    return brightest, average


def x26x_parameters(metadata: HdrMetadata, display_key: str, light_key: str) -> list[str]:
    """`key=value` pairs for x264 (`mastering-display`, `cll`) and x265 (`master-display`, `max-cll`)."""
    parameters = []
    display = mastering_display(metadata)
    if display is not None:
        points = "".join(
            f"{name}({_in_steps(point[0], CHROMATICITY_STEPS)},{_in_steps(point[1], CHROMATICITY_STEPS)})"
            for name, point in (("G", display.green), ("B", display.blue), ("R", display.red), ("WP", display.white))
        )
        brightest, darkest = (_in_steps(value, LUMINANCE_STEPS) for value in (display.brightest, display.darkest))
        parameters.append(f"{display_key}={points}L({brightest},{darkest})")
    level = light_level(metadata)
    if level is not None:
        parameters.append(f"{light_key}={level[0]},{level[1]}")
    return parameters


def svtav1_parameters(metadata: HdrMetadata) -> list[str]:
    """The same for SVT-AV1, which wants decimals."""
    parameters = []
    display = mastering_display(metadata)
    if display is not None:
        points = "".join(
            f"{name}({float(point[0]):.5f},{float(point[1]):.5f})"
            for name, point in (("G", display.green), ("B", display.blue), ("R", display.red), ("WP", display.white))
        )
        luminance = f"L({float(display.brightest):.4f},{float(display.darkest):.4f})"
        parameters.append(f"mastering-display={points}{luminance}")
    level = light_level(metadata)
    if level is not None:
        parameters.append(f"content-light={level[0]},{level[1]}")
    return parameters


def _in_steps(value: Fraction, steps: int) -> int:
    return round(value * steps)
