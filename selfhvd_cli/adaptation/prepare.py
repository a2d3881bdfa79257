"""A training made ready: sizes that fit, frames withheld, probes chosen, a checkpoint taken up again."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selfhvd_cli.adaptation.clips import Material
from selfhvd_cli.adaptation.job import SCRATCH, AdaptJob, AdaptProgress, ClipReport
from selfhvd_cli.adaptation.networks import Networks
from selfhvd_cli.device import Compute
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.restore.memory import available_memory, short_of
from selfhvd_cli.training.approach import Approach
from selfhvd_cli.training.batches import Batches
from selfhvd_cli.training.checkpoint import load_checkpoint
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.fit import Sizes, fit_sizes, set_checkpointing
from selfhvd_cli.training.footage import Shot
from selfhvd_cli.training.holdout import held_out_probes, withhold
from selfhvd_cli.training.labels import RestoredLabels, label_memory
from selfhvd_cli.training.objective import Objective
from selfhvd_cli.training.probes import blurry_probes
from selfhvd_cli.training.processes import Processes
from selfhvd_cli.training.trainer import Schedule, Trainer
from selfhvd_cli.training.trust import MARGIN, base_gain

WITHHELD = 4
"""Sharp frames withheld at most: enough for a score, too few to be missed."""

SCRATCH_RATE = 2e-4
"""Peak learning rate for fresh parameters; those that restore already move more carefully."""

SCRATCH_SHARP_SHARE = 0.15
"""Share of crops centred on a sharp frame for fresh parameters, which have nothing to keep yet."""

LOOKED_AT = 4
"""Real blurry places at which displacement and sharpness are measured."""


@dataclass(frozen=True)
class Run:
    """A training that is ready to begin or to go on."""

    job: AdaptJob
    config: AdaptConfig
    """With the sizes that were chosen."""

    compute: Compute
    networks: Networks
    clips: tuple[ClipReport, ...]
    trainer: Trainer
    processes: Processes
    identity: str
    """What the checkpoint must agree with."""

    checkpoint_activations: bool


def prepare(
    job: AdaptJob,
    config: AdaptConfig,
    compute: Compute,
    networks: Networks,
    materials: Sequence[Material],
    processes: Processes,
) -> Generator[AdaptProgress, None, Run]:
    """Make a training ready; yields what a person should know of it.

    Raises:
        UsageFault: there is a checkpoint of another job.
        MemoryFault: no sizes fit.
    """
    if networks.scratch:
        fresh: dict[str, Any] = {"rate": SCRATCH_RATE, "sharp_share": SCRATCH_SHARP_SHARE}
        config = replace(config, **{name: value for name, value in fresh.items() if name not in job.options})
    identity = _identity(job, networks, materials)
    saved = _saved(job, identity)
    if saved is not None:
        # The sizes that the memory allowed then, for the run must go on as it began.
        config, again = AdaptConfig(**saved["trainer"]["config"]), bool(saved["checkpoint_activations"])
    else:
        sizes = _sizes(job, config, compute, networks, processes)
        config = replace(config, crop=sizes.crop, sequence=sizes.sequence, batch=sizes.batch * processes.count)
        again = sizes.checkpoint_activations
    set_checkpointing(networks.restorer.network, again)
    shots = withhold([shot for material in materials for shot in material.shots], WITHHELD)
    if _learns_from_restored(config, networks) and (warning := _short_of_memory(job, compute, networks, shots)):
        yield AdaptProgress("prepare", messages=(warning,))
    trainer = _trainer(job, config, compute, networks, shots, processes)
    clips = tuple(_clip_report(material, shots) for material in materials)
    side, length = trainer.batches.side, trainer.batches.length
    messages = [_learned_from(clips), str(Sizes(side, length, config.batch, again))]
    shorter = sum(len(shot) < length for shot in shots)
    if shorter:
        messages.append(f"{shorter} of {len(shots)} scenes are shorter: batches with them are as short as they are")
    if not any(shot.withheld for shot in shots):
        messages.append("too few sharp frames to withhold any: the held-out check re-blurs frames that took part")
    if not trainer.objective.trusted:
        messages.append(
            "the network already makes the clip's sharp frames sharper than they are, so only labels sharper than "
            "its own output teach it"
        )
    if saved is not None:
        trainer.resume(saved["trainer"])
        messages.append(f"going on after step {trainer.step} of {config.steps} ({job.checkpoint})")
    yield AdaptProgress("prepare", messages=tuple(messages))
    return Run(job, config, compute, networks, clips, trainer, processes, identity, again)


def _learns_from_restored(config: AdaptConfig, networks: Networks) -> bool:
    """Whether labels are the sharp frames as the base network restores them."""
    return config.restored_labels and not networks.scratch


def _short_of_memory(job: AdaptJob, compute: Compute, networks: Networks, shots: Sequence[Shot]) -> str | None:
    """That sharp frames may need more memory to be restored than there is, in words, if so.

    They are restored in one way whatever there is, for a run that goes on elsewhere must find the same labels.
    """
    needed = max(label_memory(networks.row, *shot.size) for shot in shots)
    free = available_memory(compute.device, job.max_memory)
    return short_of("the restoration of sharp frames", needed, free) if needed > free else None


def _saved(job: AdaptJob, identity: str) -> dict[str, Any] | None:
    if not job.checkpoint.exists():
        return None
    saved = load_checkpoint(job.checkpoint)
    if saved.get("identity") == identity:
        return saved
    if job.overwrite:
        return None
    raise UsageFault(
        f"{job.checkpoint}: belongs to a run with other clips or options; repeat those to go on with it, "
        "or start afresh with --overwrite."
    )


def _sizes(job: AdaptJob, config: AdaptConfig, compute: Compute, networks: Networks, processes: Processes) -> Sizes:
    """Of one process's part."""
    batch = job.options.get("batch")
    if batch is not None and batch % processes.count:
        raise UsageFault(f"--batch {batch}: must be a multiple of the {processes.count} processes.")
    # Processes on one host share its memory; each GPU has its own.
    sharing = 1 if compute.device.type == "cuda" else processes.count
    sizes = fit_sizes(
        networks.restorer,
        networks.row,
        compute,
        available_memory(compute.device, job.max_memory) // sharing,
        config.targets,
        crop=job.options.get("crop"),
        sequence=job.options.get("sequence"),
        batch=None if batch is None else batch // processes.count,
    )
    return _smallest(sizes, compute, processes)


def _smallest(sizes: Sizes, compute: Compute, processes: Processes) -> Sizes:
    """The sizes that fit in every process: each measured its own memory, and all draw from one batch."""
    own = [sizes.crop, sizes.sequence, sizes.batch, not sizes.checkpoint_activations]
    crop, sequence, batch, kept = processes.smallest([float(each) for each in own], compute.device)
    return Sizes(int(crop), int(sequence), int(batch), checkpoint_activations=not kept)


def _trainer(
    job: AdaptJob,
    config: AdaptConfig,
    compute: Compute,
    networks: Networks,
    shots: Sequence[Shot],
    processes: Processes,
) -> Trainer:
    base, aligner = networks.restorer.eval(), networks.estimator
    restored = frozen = None
    if _learns_from_restored(config, networks):
        frozen = copy.deepcopy(base).requires_grad_(False)
        restored = RestoredLabels(frozen, networks.row, compute)
    approach = Approach(aligner, compute.device, restored)
    batches = Batches(shots, approach, config, selects_frames=networks.row.selects_frames)
    fresh = networks.scratch or restored is not None
    trusted = fresh or base_gain(base, shots, compute, batches.length) <= MARGIN
    known = held_out_probes(shots, base, aligner, approach, config, compute, batches.length, WITHHELD, trusted)
    return Trainer(
        base,
        job.model,
        networks.scratch,
        batches,
        Objective(aligner, networks.perceptual, config, compute, trusted, frozen),
        known,
        blurry_probes(shots, LOOKED_AT, batches.length),
        config,
        Schedule(job.check_every or max(25, config.steps // 20), job.patience),
        compute,
        processes,
    )


def _identity(job: AdaptJob, networks: Networks, materials: Sequence[Material]) -> str:
    """What decides the weights: clips, options, base, flow, perceptual loss."""
    parts = {
        "clips": [material.sha256 for material in materials],
        "span": [str(job.start), str(job.duration)],
        "model": job.model,
        "base": networks.base_sha256 or SCRATCH,
        "flow": networks.flow,
        "perceptual": networks.perceptual_name,
        "options": dict(job.options),
        "check": job.check_every,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _clip_report(material: Material, shots: Sequence[Shot]) -> ClipReport:
    own = [shot for shot in shots if shot.footage is material.footage]
    return ClipReport(
        name=material.path.name,
        sha256=material.sha256,
        width=material.footage.width,
        height=material.footage.height,
        frames=len(material.footage),
        scenes=len(own),
        used=sum(len(shot) for shot in own),
        sharp=sum(len(shot.sharp.indices) for shot in own),
        withheld=sum(len(shot.withheld) for shot in own),
    )


def _learned_from(clips: Sequence[ClipReport]) -> str:
    used, sharp, withheld = (sum(getattr(clip, name) for clip in clips) for name in ("used", "sharp", "withheld"))
    return f"{used} frames, {sharp} of them sharp enough to teach, {withheld} of these withheld for the check"
