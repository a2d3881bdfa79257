"""Metrics as functions of frames, built once a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.ops.displacement import displacement
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.quality.blur_effect import blur_effect
from selfhvd_cli.quality.fidelity import psnr, ssim
from selfhvd_cli.quality.metrics import Metric
from selfhvd_cli.quality.temporal import FlowFunction, warping_error
from selfhvd_cli.weights.published_file import has_published_file
from selfhvd_cli.weights.pull import is_offline
from selfhvd_cli.weights.reference import parse_reference
from selfhvd_cli.weights.spec import WeightSpec
from selfhvd_cli.weights.store import find


@dataclass(frozen=True)
class Moment:
    """What a measure may look at; pictures are `[3, H, W]`, RGB in [0, 1]."""

    frame: Tensor
    reference: Tensor | None = None
    """The frame of the same number of the reference, or of the first video."""

    following: Tensor | None = None
    """The clip's next frame."""


Measure = Callable[[Moment], float]


def build_measure(metric: Metric, device: torch.device, flow: FlowFunction, offline: bool = False) -> Measure:
    """A metric as a function of a moment.

    Raises:
        WeightsFault: its weights are absent and cannot be fetched.
        EnvironmentFault: pyiqa lacks a package for it.
    """
    own = _own(flow)
    if metric.name in own:
        return own[metric.name]
    absent = absent_weights(metric)
    if absent and is_offline(offline):
        raise WeightsFault(
            f"{metric.name}: its weights are not on this machine, and the network is not to be used (--offline, "
            f"SELFHVD_OFFLINE or HF_HUB_OFFLINE). Where there is a network: selfhvd weights pull {' '.join(absent)}"
        )
    from selfhvd_cli.quality.pyiqa_metrics import build

    foreign = build(metric.from_pyiqa, device, offline)
    if metric.needs == "reference":
        return lambda moment: foreign(moment.frame, _there(moment.reference))
    return lambda moment: foreign(moment.frame)


def absent_weights(metric: Metric) -> list[str]:
    """Names of the metric's weights that are not in the store."""
    specs = [(name, parse_reference(name)) for name in metric.weights]
    return [name for name, spec in specs if isinstance(spec, WeightSpec) and find(spec) is None]


def absent_file(metric: Metric) -> bool:
    """Whether the metric needs a file of numbers that is not in the store."""
    return bool(metric.file) and not has_published_file(metric.file)


def _own(flow: FlowFunction) -> Mapping[str, Measure]:
    """The metrics computed here."""
    return {
        "sharpness": lambda moment: float(sharpness(moment.frame.unsqueeze(0))[0]),
        "blur": lambda moment: blur_effect(moment.frame),
        "temporal": lambda moment: warping_error(moment.frame, _there(moment.following), flow),
        "shift": lambda moment: _shift(moment.frame, _there(moment.reference)),
        "psnr": lambda moment: psnr(moment.frame, _there(moment.reference)),
        "ssim": lambda moment: ssim(moment.frame, _there(moment.reference)),
    }


def _shift(frame: Tensor, reference: Tensor) -> float:
    return float(displacement(frame.unsqueeze(0), reference.unsqueeze(0))[0])


def _there(picture: Tensor | None) -> Tensor:
    assert picture is not None, "the story gives every measure what its metric needs"
    return picture
