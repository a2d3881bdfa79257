"""Setup: the network of a job, loaded and fitted to the clip and the machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from selfhvd_cli.deblurring.job import DeblurJob, check_clip
from selfhvd_cli.deblurring.kept import kept_by
from selfhvd_cli.deblurring.report import DeblurPlan, Progress
from selfhvd_cli.deblurring.span import expected_frames, span_of
from selfhvd_cli.device import Compute, choose_compute
from selfhvd_cli.restore.crew import Crew, Post
from selfhvd_cli.restore.estimate import seconds_a_frame
from selfhvd_cli.restore.load import Loaded, fresh_restorer, load_restorer, weights_reference
from selfhvd_cli.restore.memory import release, share_of_memory
from selfhvd_cli.restore.plan import Plan, choose_plan, fits, needed_memory, shortage
from selfhvd_cli.restore.precision import check_device, settle_precision
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.weights.pull import pull
from selfhvd_cli.weights.reference import parse_reference
from selfhvd_cli.weights.spec import WeightSpec
from selfhvd_cli.weights.store import find

QUEUE_BYTES = 256 << 20
"""Memory for pictures that wait between two stages: keeps both busy, and is little beside what a network takes."""

DEEPEST_QUEUE = 4
"""Pictures that wait at most: enough to level out that some frames take longer than others."""

CREW_ADVANCE = 11
"""Frames by which the windows of a crew are longer than what a network that selects frames must see."""


@dataclass(frozen=True)
class Setup:
    """What runs on the frames of one clip."""

    compute: Compute
    """Device and precision."""

    queue_depth: int
    """Pictures that may wait between two stages."""

    loaded: Loaded | None
    """The network; None where the strength is 0."""

    plan: Plan | None
    """Windows and tiles; None likewise."""

    crew: Crew | None = None
    """Processes that share the work, not yet started; None where this one does it."""

    warning: str | None = None
    """What may end the run, in words."""

    def __str__(self) -> str:
        if self.loaded is None:
            return "strength 0: no network is used, every frame passes as it was decoded"
        precision = str(self.compute.dtype).removeprefix("torch.")
        words = f"network {self.loaded.model} with weights {self.loaded.weights} in {precision}, {self.plan}"
        return words if self.crew is None else f"{words}, shared by {self.crew}"


def fetch_weights(job: DeblurJob) -> Iterator[Progress | Path]:
    """Reports while a job's weights are fetched, if they must be; then the file.

    Raises:
        UsageFault: there is no such network.
        WeightsFault: the weights are not to be had, or of another network.
    """
    for report in pull(weights_reference(job.model, job.weights), offline=job.offline):
        if report.path is not None:
            yield report.path
        else:
            note = (f"{report.name}: {report.note}",) if report.note else ()
            yield Progress("fetch", report.done, report.total, unit="bytes", messages=note)


def set_up(
    job: DeblurJob, info: VideoInfo, compute: Compute, weights: Path | None, earlier: Plan | None = None
) -> Setup:
    """Load the network and fit windows and tiles to the clip's frames.

    Args:
        weights: file of the weights; None where the job's strength is 0.
        earlier: windows and tiles of the run that this one continues; taken again where they still fit.
    """
    depth = max(2, min(DEEPEST_QUEUE, QUEUE_BYTES // (12 * info.width * info.height)))
    if weights is None:
        return Setup(compute, depth, None, None)
    torch.manual_seed(job.seed)
    reference = weights_reference(job.model, job.weights)
    loaded = load_restorer(job.model, reference, weights, compute.device)
    computes = _settled(job, loaded, compute)
    compute = computes[0]
    plan = earlier
    if plan is None or not fits(loaded.architecture, plan, info.height, info.width, compute):
        plan = _plan(job, info, computes, loaded)
    warning = shortage(loaded.architecture, plan, info.height, info.width, compute)
    return Setup(compute, depth, loaded, plan, _crew(job, loaded, weights, computes, plan), warning)


def plan_deblur(job: DeblurJob) -> DeblurPlan:
    """What a job would do and need, its time by a short run of the network; nothing is fetched or written.

    Raises:
        SelfHVDError: a child of it, where the job itself would end with one before its work.
    """
    compute = choose_compute(job.first_device, job.precision)
    reference = weights_reference(job.model, job.weights)
    span = span_of(job.source, job.start, job.duration)
    with open_reader(job.source, span.start, span.duration) as reader:
        info = reader.info
    check_clip(info)
    frames = expected_frames(info, span)
    size = (info.width, info.height)
    if job.strength == 0:
        return DeblurPlan(job.source, job.target, size, frames, None, None, None, None, 0, None)
    target = parse_reference(reference)
    path = find(target) if isinstance(target, WeightSpec) else target
    if path is not None and path.suffix == ".safetensors":
        loaded = load_restorer(job.model, reference, path, compute.device)
        computes = _settled(job, loaded, compute)
    else:
        loaded = fresh_restorer(job.model, compute.device)
        computes = [compute, *(choose_compute(device, job.precision) for device in job.devices[1:])]
    compute = computes[0]
    plan = _plan(job, info, computes, loaded)
    each = seconds_a_frame(loaded.restorer, loaded.architecture, plan, compute, info.height, info.width)
    notes = []
    if not loaded.sha256:
        notes.append(f"weights {reference} are not in the store; the run would get them first")
    if (warning := shortage(loaded.architecture, plan, info.height, info.width, compute)) is not None:
        notes.append(warning)
    kept = kept_by(job, path) if path is not None and loaded.sha256 and job.resume else None
    if kept is not None:
        notes.append(f"it would go on after the {kept.frames} frames kept of an interrupted run")
    return DeblurPlan(
        source=job.source,
        target=job.target,
        size=size,
        frames=frames,
        model=job.model,
        weights=reference,
        device=str(compute),
        plan=str(plan),
        memory=needed_memory(loaded.architecture, plan, info.height, info.width, compute.dtype),
        seconds=None if frames is None else each * max(0, frames - (kept.frames if kept else 0)),
        notes=tuple(notes),
    )


def _settled(job: DeblurJob, loaded: Loaded, first: Compute) -> list[Compute]:
    """Devices, all in one precision, that the network has been tried on, as far as the job leaves the choice.

    Args:
        loaded: on the first of them, before and after.
    """
    further = [choose_compute(device, job.precision) for device in job.devices[1:]]
    settled = []
    for compute, asked in zip([first, *further], job.devices or (job.device,), strict=True):
        loaded.restorer.to(compute.device)
        if job.precision == "auto":
            settled.append(settle_precision(loaded, compute, asked))
        else:
            check_device(loaded, compute, asked)
            settled.append(compute)
    if further:
        loaded.restorer.to(settled[0].device)
        for compute in further:
            release(compute.device)
    if len({compute.dtype for compute in settled}) > 1:
        # A frame would look otherwise where another device restored it.
        settled = [replace(compute, dtype=torch.float32) for compute in settled]
    return settled


def _plan(job: DeblurJob, info: VideoInfo, computes: Sequence[Compute], loaded: Loaded) -> Plan:
    compute = computes[0]
    sharing = [each.device for each in computes]
    if len(sharing) > 1:
        sharing.append(torch.device("cpu"))  # this process, which has the frames of all windows under way
    plan = choose_plan(
        loaded.architecture,
        info.height,
        info.width,
        compute,
        window=job.window,
        tile=job.tile,
        strength=job.strength,
        max_memory=share_of_memory(sharing, compute.device, job.max_memory),
    )
    if len(computes) > 1 and job.window is None and loaded.architecture.selects_frames:
        # A process of a crew sees the surroundings of a window anew each time: let it restore several frames there.
        for advance in range(CREW_ADVANCE, 0, -1):
            longer = replace(plan, window=plan.window + advance)
            if fits(loaded.architecture, longer, info.height, info.width, compute):
                return longer
    return plan


def _crew(job: DeblurJob, loaded: Loaded, weights: Path, computes: Sequence[Compute], plan: Plan) -> Crew | None:
    if len(computes) < 2:
        return None
    threads = torch.get_num_threads()
    posts = [Post(job.model, loaded.weights, weights, each, plan, threads) for each in computes]
    return Crew(posts, early=any(each.device.type != "cpu" for each in computes))
