"""The networks of an adaptation: the one that learns, the flow that aligns labels, VGG-19 where it is at hand."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import torch

from selfhvd_cli.adaptation.job import SCRATCH, AdaptJob, AdaptProgress
from selfhvd_cli.device import Compute
from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.flow.estimator import FlowEstimator
from selfhvd_cli.flow.estimators import estimator
from selfhvd_cli.restore.architectures import Architecture, architecture
from selfhvd_cli.restore.load import load_restorer, weights_reference
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.training.perceptual import Perceptual
from selfhvd_cli.weights.find import find
from selfhvd_cli.weights.load import load_state_dict
from selfhvd_cli.weights.pull import pull
from selfhvd_cli.weights.spec import manifest

ESTIMATORS = {
    "sea-raft": "sea_raft_m",
    "sea-raft-s": "sea_raft_s",
    "raft": "raft_large",
    "flowformer": "flowformerpp",
    "lite": "lite",
    "dis": "dis",
}
"""`--flow` → row of `flow.estimators.ESTIMATORS`."""

TRAINED_PARTS: dict[str, tuple[str, ...]] = {"lite": ("encoder.", "flow_")}
"""Network → prefixes of parameters that are not fresh from scratch either: its flow, for no clip teaches flow from
nothing. So does the paper: its BasicVSR++ begins with a trained SPyNet."""


@dataclass(frozen=True)
class Networks:
    """What an adaptation runs."""

    restorer: Restorer
    """The network that learns, with its base weights."""

    row: Architecture
    base: str
    """Its weights by name or file, or scratch."""

    base_sha256: str
    """Of their file; empty for fresh parameters."""

    estimator: FlowEstimator
    flow: str
    """The estimator's name."""

    perceptual: Perceptual | None
    """VGG-19."""

    @property
    def perceptual_name(self) -> str:
        return "none" if self.perceptual is None else "vgg19"

    @property
    def scratch(self) -> bool:
        """Whether the parameters are fresh."""
        return self.base == SCRATCH


def load_networks(job: AdaptJob, compute: Compute, seed: int) -> Generator[AdaptProgress, None, Networks]:
    """Fetch and load what the job names; yields progress and what is missing, in words.

    Raises:
        WeightsFault: weights are not to be had, or of another network.
    """
    row = architecture(job.model)
    if job.init == SCRATCH:
        torch.manual_seed(seed % 2**64)  # torch takes no more bits
        restorer, base, digest = row.restorer(), SCRATCH, ""
        yield from _give_flow(restorer, job)
        restorer.to(compute.device)
    else:
        base = weights_reference(job.model, job.init)
        path = yield from _fetch(base, job.offline)
        loaded = load_restorer(job.model, base, path, compute.device)
        restorer, digest = loaded.restorer, loaded.sha256
    aligner, flow = yield from _load_flow(job, compute)
    perceptual = yield from _load_perceptual(job, compute)
    return Networks(restorer, row, base, digest, aligner, flow, perceptual)


def _give_flow(restorer: Restorer, job: AdaptJob) -> Generator[AdaptProgress, None, None]:
    """The trained flow of a network that is fresh otherwise, where there is one."""
    prefixes = TRAINED_PARTS.get(job.model, ())
    if not prefixes:
        return
    path = yield from _fetch(weights_reference(job.model, None), job.offline)
    trained = load_state_dict(path)
    restorer.network.load_state_dict({k: v for k, v in trained.items() if k.startswith(prefixes)}, strict=False)
    note = f"all parameters of {job.model} are fresh, but for those of its flow, which stay as they are trained"
    yield AdaptProgress("prepare", messages=(note,))


def _load_flow(job: AdaptJob, compute: Compute) -> Generator[AdaptProgress, None, tuple[FlowEstimator, str]]:
    choice = job.flow
    if choice == "auto":
        # Measured on synthetic clips: from a restored frame to a sharp one DIS errs by 0.3 px, lite's flow by 0.5.
        choice = "sea-raft" if _at_hand("sea_raft_m") else "dis"
        if choice == "dis":
            note = (
                "labels are aligned by DIS, which knows no uncertainty, so M_u is 1; SEA-RAFT, which the paper uses, "
                "is 79 MB more: selfhvd weights pull sea_raft_m"
            )
            yield AdaptProgress("prepare", messages=(note,))
    row = estimator(ESTIMATORS[choice])
    state = None
    if row.weights is not None:
        path = yield from _fetch(row.weights, job.offline)
        state = load_state_dict(path)
    if not row.uncertainty and job.flow != "auto":
        note = f"--flow {choice} knows no uncertainty, so the mask M_u is 1 everywhere; lite and sea-raft know theirs"
        yield AdaptProgress("prepare", warnings=(note,))
    return row.build(state, compute.device), choice


def _load_perceptual(job: AdaptJob, compute: Compute) -> Generator[AdaptProgress, None, Perceptual | None]:
    if job.perceptual == "none" or (job.perceptual == "auto" and not _at_hand("vgg19")):
        if job.perceptual == "auto":
            note = (
                "no perceptual loss: VGG-19 is not at hand; it makes fine texture crisper and is 574 MB: "
                "selfhvd weights pull vgg19"
            )
            yield AdaptProgress("prepare", messages=(note,))
        return None
    path = yield from _fetch("vgg19", job.offline)
    return Perceptual(load_state_dict(path)).to(compute.device)


def _at_hand(name: str) -> bool:
    try:
        return find(manifest()[name]) is not None
    except WeightsFault:
        return False


def _fetch(reference: str, offline: bool) -> Generator[AdaptProgress, None, Path]:
    """Reports while weights are fetched, if they must be; gives the file."""
    for report in pull(reference, offline=offline):
        if report.path is not None:
            return report.path
        note = (f"{report.name}: {report.note}",) if report.note else ()
        yield AdaptProgress("fetch", report.done, report.total, "bytes", messages=note)
    raise AssertionError("a pull ends with a path or a fault")
