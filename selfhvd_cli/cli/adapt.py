"""`selfhvd adapt`: trains a network on the user's own clips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import (
    Command,
    add_options,
    compute_options,
    max_memory_option,
    model_option,
    offline_option,
    option,
    output_options,
    overwrite_option,
    seed_option,
    span_options,
)
from selfhvd_cli.cli.progress import State, progress_display
from selfhvd_cli.errors import SelfHVDError, UsageFault
from selfhvd_cli.quality.names import quoted

if TYPE_CHECKING:
    from selfhvd_cli.adaptation.job import AdaptJob, AdaptProgress, AdaptReport
    from selfhvd_cli.deblurring.job import DeblurJob
    from selfhvd_cli.training.trainer import StepReport

STEPS = 2000

FLOWS = ("auto", "sea-raft", "sea-raft-s", "raft", "flowformer", "lite", "dis")
"""Of `adaptation.job.FlowChoice`, repeated here because that module imports torch."""

length_options = add_options(
    option("--steps", type=click.IntRange(min=1), default=STEPS, show_default=True, help="Optimizer steps in all."),
    option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Stop after this long."),
    option("--patience", type=click.IntRange(min=0), default=5, show_default=True,
           help="Held-out checks without a better score after which to stop; 0 never stops."),
    option("--check-every", type=click.IntRange(min=1), help="Steps between these checks; default: a twentieth."),
)  # fmt: skip
base_options = add_options(
    model_option,
    option("--init", metavar="NAME|FILE|scratch",
           help="Weights to begin with; default: the network's own. scratch: fresh ones."),
    option("--flow", type=click.Choice(FLOWS), default="auto",
           show_default=True, help="What aligns labels; auto: sea-raft where it is at hand, else dis."),
    option("--perceptual", type=click.Choice(["auto", "vgg19", "none"]), default="auto", show_default=True,
           help="Compare features too; auto: where VGG-19 is at hand."),
    offline_option,
)  # fmt: skip
size_options = add_options(
    option("--crop", type=click.IntRange(min=64), help="Side of the crops in pixels; default: as suits the device."),
    option("--sequence", type=click.IntRange(min=2), help="Frames the network sees; default likewise."),
    option("--batch", type=click.IntRange(min=1), help="Crops a step, over all processes; default likewise."),
    option("--rate", type=click.FloatRange(min=0, min_open=True),
           help="Peak learning rate (1e-4; from scratch 2e-4)."),
    max_memory_option,
)  # fmt: skip
method_options = add_options(
    option("--segment", type=click.IntRange(min=1), help="Frames of a segment when sharp frames are chosen (20)."),
    option("--masks", type=click.Choice(["none", "occlusion", "uncertainty", "both"]),
           help="Masks of the aligned labels (both)."),
    option("--neighbours", type=click.IntRange(min=1),
           help="Sharp frames that a blurry one has for labels, one a draw; paper: 1 (3)."),
    option("--recorded-labels", is_flag=True,
           help="Sharp frames teach as recorded, as in the paper, not as the base network restores them."),
    option("--reblurred", type=click.FloatRange(0, 1),
           help="Share of crops that show a sharp frame under borrowed blur; not in the paper (0)."),
    option("--refreshes", type=click.IntRange(min=0), help="Times SCSCM's earlier network may be renewed (2)."),
    option("--no-sevd", is_flag=True, help="Stage 2 without self-enhancement."),
    option("--no-rscr", is_flag=True, help="SEVD without removing sharp frames."),
    option("--no-sis", is_flag=True, help="SEVD always with the label, never with the own output."),
    option("--no-scscm", is_flag=True, help="Stage 2 without staying close to the earlier network."),
)  # fmt: skip


@click.command(cls=Command)
@click.argument("clips", metavar="CLIP...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="WEIGHTS",
              help="Weights to write, .safetensors; default: in a folder of your own.")  # fmt: skip
@add_options(
    length_options,
    base_options,
    size_options,
    method_options,
    span_options,
    compute_options,
    seed_option,
    overwrite_option,
    output_options,
)
@pass_console
def adapt(console: Console, clips: tuple[Path, ...], output: Path | None, **settings: Any) -> None:
    """Train a network on your own CLIPs: their sharp moments teach it to restore the blurred ones.

    CLIP is a video file, a folder of numbered PNG/JPEG frames, or a folder of clips. The weights are for selfhvd
    deblur --weights. Ctrl-C stops; the same command goes on. With several GPUs:
    torchrun --standalone --nproc-per-node N -m selfhvd_cli adapt CLIP...
    """
    report = run_adaptation(console, make_job(clips, output, settings))
    for line in report_in_words(report):
        console.say(line)
    if console.json:
        console.data(report)


def make_job(clips: Sequence[Path], output: Path | None, settings: dict[str, Any]) -> AdaptJob:
    """The job that options ask for."""
    from selfhvd_cli.adapt_network import default_weights
    from selfhvd_cli.adaptation.job import AdaptJob
    from selfhvd_cli.cli.batch import plan_batch

    found = [pair.source for pair in plan_batch(clips, None).pairs]
    switches = {name: False for name in ("sevd", "rscr", "sis", "scscm") if settings.pop(f"no_{name}")}
    if "sevd" in switches and len(switches.keys() & {"rscr", "sis"}):
        raise UsageFault("--no-rscr and --no-sis are parts of SEVD; without it (--no-sevd) they mean nothing.")
    if settings.pop("recorded_labels"):
        switches["restored_labels"] = False
    names = (
        *("steps", "crop", "sequence", "batch", "rate", "seed"),
        *("segment", "masks", "neighbours", "refreshes", "reblurred"),
    )
    given = {name: settings.pop(name) for name in names}
    options = {name: value for name, value in given.items() if value is not None} | switches
    patience = settings.pop("patience") or None
    weights = output or default_weights(found, settings["model"])
    return AdaptJob(tuple(found), weights, options=options, patience=patience, **settings)


def run_adaptation(console: Console, job: AdaptJob) -> AdaptReport:
    """Run a job with a live view; gives its report.

    Raises:
        SelfHVDError: the run failed.
    """
    import os

    from selfhvd_cli.adapt_network import adapt_steps

    if os.environ.get("RANK", "0") != "0":
        console.verbosity, console.progress, console.json = -1, "none", False
    report: AdaptReport | None = None
    view = _View()
    try:
        with closing(adapt_steps(job)) as steps, progress_display(console, job.clips[0].name) as display:
            for step in steps:
                for message in step.messages:
                    console.say(message)
                for warning in step.warnings:
                    console.warn(warning)
                report = step.report
                if report is None:
                    display.show(view.state(step))
                if step.step is not None and step.step.held_out is not None:
                    console.say(check_in_words(step.step))
    except KeyboardInterrupt:
        where = f"the same command goes on ({job.checkpoint})" if job.checkpoint.exists() else "nothing was kept yet"
        raise KeyboardInterrupt(f"interrupted after step {view.step}; {where}.") from None
    if report is None:
        raise SelfHVDError("the adaptation ended without a report.")
    return report


def adapt_first(console: Console, job: DeblurJob, steps: int | None) -> DeblurJob:
    """`deblur --adapt`: a job with weights adapted to its clip; those of an earlier adaptation are taken up again."""
    from selfhvd_cli.adapt_network import default_weights
    from selfhvd_cli.adaptation.job import AdaptJob
    from selfhvd_cli.weights.load import read_metadata

    weights = default_weights([job.source], job.model)
    if weights.exists():
        told = read_metadata(weights)
        asked = json.loads(told.get("config", "{}")).get("steps", "some")
        console.say(
            f"{job.source.name}: adapted to before ({asked} steps from {told.get('base', 'other weights')}); "
            f"selfhvd adapt {quoted(job.source)} --overwrite does so anew"
        )
    else:
        precision = "auto" if job.precision == "fp16" else job.precision
        wanted = AdaptJob(
            (job.source,),
            weights,
            model=job.model,
            init=job.weights,
            options={"seed": job.seed} | ({} if steps is None else {"steps": steps}),
            device=job.device,
            precision=precision,
            max_memory=job.max_memory,
            offline=job.offline,
        )
        for line in report_in_words(run_adaptation(console, wanted))[:2]:
            console.say(line)
    console.say(f"{job.source.name}: using the weights adapted to it, {weights}")
    return replace(job, weights=str(weights))


class _View:
    """What the live line shows: losses smoothed over some steps, so that one can read them."""

    def __init__(self) -> None:
        self.step = 0
        self._losses: dict[str, float] = {}
        self._seconds: float | None = None

    def state(self, progress: AdaptProgress) -> State:
        report = progress.step
        if report is None:
            return State(progress.phase, progress.done, progress.total, unit=progress.unit)
        self.step = report.step
        keep = 0.95 if self._losses else 0.0
        self._losses = {name: keep * self._losses.get(name, value) + (1 - keep) * value
                        for name, value in report.losses.items()}  # fmt: skip
        seconds = report.seconds
        self._seconds = seconds if self._seconds is None else 0.95 * self._seconds + 0.05 * seconds
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self._losses.items() if name != "gradient")
        note = f"stage {report.stage}, {shown}, rate {report.rate:.1e}"
        rate = 1 / self._seconds if self._seconds else None
        left = self._seconds * (report.steps - report.step)
        return State("adapt", report.step, report.steps, rate, left, "steps", note)


def check_in_words(report: StepReport) -> str:
    """`step 250: held-out 31.42 dB (best 31.42), moved 0.03 px, sharpness 88`."""
    now, best = report.held_out, report.best
    assert now is not None
    assert best is not None
    return (
        f"step {report.step}: held-out {now.score:.2f} dB (best {best.score:.2f}), "
        f"moved {now.shift:.2f} px, sharpness {now.sharpness:.0f}"
    )


def report_in_words(report: AdaptReport) -> list[str]:
    """The end of a run for people."""
    why = {
        "steps": "all steps done",
        "minutes": "the time was up",
        "patience": "the held-out score stalled",
        "not finite": "the loss was no number",
    }[report.ended]
    base = "the untouched frames" if report.base == "scratch" else report.base
    gain = f"{report.after.score - report.before.score:+.2f} dB against {base}"
    memory = "" if report.peak_memory is None else f", at most {report.peak_memory / 1e9:.1f} GB of memory"
    pace = f"{report.seconds_a_step:.2f} s a step{memory}"
    return [
        f"{report.steps} steps in {report.seconds / 60:.1f} minutes ({pace}): {why}",
        f"held-out frames: {report.before.score:.2f} → {report.after.score:.2f} dB ({gain}), "
        f"sharpness {report.before.sharpness:.0f} → {report.after.sharpness:.0f}, moved {report.after.shift:.2f} px",
        f"before and after: {report.pictures}; log: {report.log}",
        f"weights: {report.weights}",
        f"next: selfhvd deblur CLIP --model {report.model} --weights {quoted(report.weights)}",
    ]
