"""The metrics by name: what each says, which way is better, and what it needs."""

from __future__ import annotations

import runpy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from selfhvd_cli.errors import UsageFault

Needs = Literal["frame", "reference", "first", "pair", "file"]


@dataclass(frozen=True)
class Metric:
    """One way to put quality into a number."""

    name: str
    """What the user types."""

    title: str
    """As papers write it."""

    higher_is_better: bool

    needs: Needs
    """frame: one frame. reference: the frame of the reference too. first: that of the reference, or else of the first
    video. pair: two consecutive frames. file: the whole file and its reference."""

    unit: str = ""
    about: str = ""
    """A sentence for people."""

    weights: tuple[str, ...] = ()
    """Names in the manifest; empty where it needs none, or where pyiqa says which."""

    file: str = ""
    """A small file of numbers it needs, `hf://owner/repo/file`."""

    from_pyiqa: str = ""
    """Its name there; empty for the metrics computed here."""

    digits: int = 3
    """Decimals worth showing."""


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("sharpness", "sharpness", True, "frame", about="variance of the Laplacian; for one scene", digits=1),
        Metric("blur", "blur effect", False, "frame", about="how little a further blur changes it (Crete 2007)"),
        Metric("piqe", "PIQE", False, "frame", about="visible distortion, 0 to 100", from_pyiqa="piqe", digits=2),
        Metric("temporal", "warping error", False, "pair", "codes", "change from frame to frame besides the motion"),
        Metric("shift", "shift", False, "first", "px", "how far the content lies from the first video's"),
        Metric("psnr", "PSNR", True, "reference", "dB", "agreement with the reference", digits=2),
        Metric("ssim", "SSIM", True, "reference", about="structural agreement with the reference", digits=4),
        Metric("lpips", "LPIPS", False, "reference", about="perceptual distance to the reference (AlexNet)",
               weights=("alexnet", "lpips_alex"), from_pyiqa="lpips", digits=4),
        Metric("vmaf", "VMAF", True, "file", about="agreement as viewers rate it, 0 to 100", digits=2),
        Metric("musiq", "MUSIQ", True, "frame", about="quality as viewers rate it, 0 to 100 (KonIQ)",
               weights=("musiq",), from_pyiqa="musiq", digits=2),
        Metric("maniqa", "MANIQA", True, "frame", about="quality as viewers rate it, 0 to 1 (KonIQ)",
               weights=("maniqa",), from_pyiqa="maniqa", digits=4),
        Metric("niqe", "NIQE", False, "frame", about="distance to the statistics of pristine pictures",
               file="hf://chaofengc/IQA-PyTorch-Weights/niqe_modelparameters.mat", from_pyiqa="niqe", digits=3),
        Metric("clipiqa", "CLIP-IQA", True, "frame", about="likeness to words such as good and sharp image, 0 to 1",
               weights=("clip_rn50",), from_pyiqa="clipiqa", digits=4),
    )
}  # fmt: skip
"""Those described here; every other metric of pyiqa is known by its name there."""

DEFAULTS: tuple[str, ...] = ("sharpness", "blur", "piqe", "temporal")
"""Without a reference; they need no download."""

AGAINST_REFERENCE: tuple[str, ...] = ("psnr", "ssim", "shift")
"""With a reference, before the defaults; LPIPS and VMAF join where they can run."""

LEARNED: tuple[str, ...] = ("niqe", "musiq", "maniqa")
"""Taken by default where their numbers are on this machine; the last two are the paper's."""


def metric_named(name: str) -> Metric:
    """The metric a name means; a name not described here is looked up in pyiqa.

    Raises:
        UsageFault: there is no such metric; the message lists close names.
    """
    known = METRICS.get(name.strip().lower())
    if known is not None:
        return known
    foreign = _pyiqa_table()
    wanted = {other.lower(): other for other in foreign}.get(name.strip().lower())
    if wanted is not None and wanted not in _NOT_OF_PICTURES:
        row = foreign[wanted]
        needs: Needs = "reference" if row["metric_mode"] == "FR" else "frame"
        return Metric(wanted, wanted, not row.get("lower_better", False), needs, about="see pyiqa", from_pyiqa=wanted)
    names = sorted({*METRICS, *foreign} - _NOT_OF_PICTURES)
    near = get_close_matches(name.lower(), names, n=5, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"choose among {', '.join(METRICS)} or pyiqa's others."
    raise UsageFault(f'there is no metric "{name}"; {hint}')


@cache
def _pyiqa_table() -> Mapping[str, Mapping[str, Any]]:
    """pyiqa's own table of metrics, read without importing pyiqa, which takes seconds."""
    package = find_spec("pyiqa")
    if package is None or not package.submodule_search_locations:
        return {}
    path = Path(package.submodule_search_locations[0]) / "default_model_configs.py"
    table: Mapping[str, Mapping[str, Any]] = runpy.run_path(str(path))["DEFAULT_CONFIGS"]
    return table


_NOT_OF_PICTURES = frozenset({"fid", "fid_dinov2", "inception_score", "clipscore"})
"""pyiqa's metrics of folders or captions, which have no value for a frame."""


def parse_names(text: str | Sequence[str] | None) -> tuple[str, ...]:
    """`a,b` or a sequence as names, each once."""
    parts = text.split(",") if isinstance(text, str) else list(text or ())
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
