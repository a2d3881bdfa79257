"""Trainer: the adaptation's loop, from the first step to the last, one report a step."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from selfhvd_cli.device import Compute
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.pipeline import Ahead
from selfhvd_cli.restore.arrange import arrange
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.training.averaging import Average
from selfhvd_cli.training.batches import Batch, Batches
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.consistency import History
from selfhvd_cli.training.holdout import Standing, psnr, standing
from selfhvd_cli.training.objective import Objective
from selfhvd_cli.training.parameters import parameter_groups, set_rates
from selfhvd_cli.training.probes import Look, Probe, look
from selfhvd_cli.training.processes import Processes
from selfhvd_cli.training.schedule import learning_rate

AHEAD = 2
"""Batches drawn while a GPU is at work on one; on a CPU the drawing would take the cores from the network."""


@dataclass(frozen=True)
class StepReport:
    """How the training stands after a step."""

    step: int
    """Steps done."""

    steps: int
    """Steps in all."""

    stage: int
    """1 or 2."""

    losses: Mapping[str, float]
    """By name; `taught` and `from label` are shares of the targets."""

    rate: float
    """Learning rate."""

    seconds: float
    """Of this step, its check not counted."""

    held_out: Standing | None = None
    """Of the averaged network, on steps where it was checked."""

    best: Standing | None = None
    """The best so far, the base network's included."""

    events: tuple[str, ...] = ()
    """What happened, in words."""

    failed: bool = False
    """The losses or the gradient were no numbers; this step changed nothing, and the training ended."""


@dataclass(frozen=True)
class Schedule:
    """When things happen, in steps."""

    check: int
    """Between held-out checks."""

    patience: int | None = None
    """Checks without a better score after which the training ends; None never."""


class Trainer:
    """Trains one network; it can be stopped after any step and continued from `state()`.

    Args:
        restorer: with its base weights; trained in place.
        model: its name, for `PACES`.
        scratch: whether its parameters are fresh.
        batches: what it learns from.
        objective: how.
        known: held-out probes with truth.
        blurry: probes without, for sharpness and displacement.
        processes: who else trains along.
        ahead: batches drawn beside the training; by default as many as pay on the device. It changes no result.
    """

    def __init__(
        self,
        restorer: Restorer,
        model: str,
        scratch: bool,
        batches: Batches,
        objective: Objective,
        known: Sequence[Probe],
        blurry: Sequence[Probe],
        config: AdaptConfig,
        schedule: Schedule,
        compute: Compute,
        processes: Processes | None = None,
        ahead: int | None = None,
    ) -> None:
        arrange(restorer, compute.device)
        self.restorer = restorer.requires_grad_(True)
        self.batches, self.objective = batches, objective
        self.known, self.blurry = known, blurry
        self.config, self.schedule, self.compute = config, schedule, compute
        self.processes = processes or Processes()
        self.ahead = (AHEAD if compute.device.type == "cuda" else 0) if ahead is None else ahead
        groups = parameter_groups(restorer.network, model)
        self.optimizer = torch.optim.Adam(groups, lr=config.rate, betas=(0.9, 0.99))
        self.average = Average(restorer.network, config.average)
        self.history: History | None = None
        self.step = 0
        self.base_values = _copied(self.average.values)
        self.base = self._untouched() if scratch else self.measured(restorer)
        restorer.train()
        self.best, self.best_step, self.stale = self.base, 0, 0
        self.best_values = _copied(self.average.values)

    def steps(self) -> Iterator[StepReport]:
        """Train until the last step, or until it no longer helps; one report a step."""
        with self._drawn() as batches:
            while self.step < self.config.steps and not self._is_stale():
                report = self._advance(batches)
                yield report
                if report.failed:
                    return

    @contextmanager
    def _drawn(self) -> Iterator[Iterator[Batch]]:
        """The batches from this step on, in main memory."""
        batches = self.batches.since(self.step, self.processes.rank, self.processes.count)
        if not self.ahead:
            yield batches
            return
        pinned = self.compute.device.type == "cuda"
        with Ahead((batch.pinned() if pinned else batch for batch in batches), self.ahead, spread=True) as ahead:
            yield iter(ahead)

    def _advance(self, batches: Iterator[Batch]) -> StepReport:
        """One step, in the order of the paper's Fig. 2."""
        config, step, began = self.config, self.step, time.monotonic()
        events: list[str] = []
        stage = 2 if step >= config.stage_two else 1
        if step == config.stage_two:
            # Stage 2 learns from other things, so the checks at which stage 1 had stalled do not count in it.
            self.stale = 0
        if stage == 2 and config.scscm and self.history is None:
            self.history = History(self.restorer, self._look())
        rate = learning_rate(step, config.steps, config.rate, warmup=config.rising_steps, floor=config.floor)
        set_rates(self.optimizer, rate, step / config.steps)
        # Networks that draw random numbers draw the same ones in a resumed run. Torch takes no more than 64 bits.
        torch.manual_seed((config.seed * 1_000_003 + step) % 2**64)
        batch = next(batches).to(self.compute.device)
        self.optimizer.zero_grad(set_to_none=True)
        if stage == 1:
            losses = self.objective.backward_stage_one(self.restorer, batch)
        else:
            losses = self.objective.backward_stage_two(self.restorer, batch, self.history)
        self.processes.mean_of_gradients(self.restorer.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.restorer.parameters(), config.clip_gradient)
        values = self._mean(losses) | {"gradient": float(norm)}
        if not all(math.isfinite(value) for value in values.values()):
            return StepReport(step, config.steps, stage, values, rate, time.monotonic() - began, failed=True)
        self.optimizer.step()
        self.average.update(self.restorer.network, step)
        self.step += 1
        seconds = time.monotonic() - began
        checked = self._check(events) if self.step % self.schedule.check == 0 or self.step == config.steps else None
        best = self.best if checked else None
        return StepReport(self.step, config.steps, stage, values, rate, seconds, checked, best, tuple(events))

    def _check(self, events: list[str]) -> Standing:
        """Score the averaged network on the held-out probes, keep it if it is the best, and refresh θ_k."""
        if self.history is not None and self.history.consider(self.restorer, self._look(), self.config):
            events.append(f"step {self.step}: SCSCM's earlier network was renewed")
        now = self.measured(self.averaged())
        if now.beats(self.best, self.base):
            self.best, self.best_step, self.stale = now, self.step, 0
            self.best_values = _copied(self.average.values)
        else:
            self.stale += 1
        return now

    def check_now(self) -> Standing:
        """The held-out check out of turn, for a training that is ended early."""
        return self._check([])

    def averaged(self) -> Restorer:
        """A copy of the network with the averaged parameters."""
        return with_values(self.restorer, self.average.values)

    def _is_stale(self) -> bool:
        patience = self.schedule.patience
        # A stalled stage 1 is not the end: stage 2, where there is one, gets its turn.
        last = self.step > self.config.stage_two or self.config.stage_two == self.config.steps
        return patience is not None and self.stale >= patience and last

    def measured(self, restorer: Restorer) -> Standing:
        """How good a network is, measured by the leading process, for all."""
        found = [0.0, 0.0, 0.0]
        if self.processes.leads:
            restorer.eval()
            found = list(asdict(standing(restorer, self.known, self.blurry, self.compute)).values())
        return Standing(*self.processes.decided(found, self.compute.device))

    def _untouched(self) -> Standing:
        """What the input itself scores: fresh parameters are no base to compare with."""
        scores = [psnr(probe.input, probe) for probe in self.known]
        seen = [float(sharpness(probe.input.unsqueeze(0))) for probe in self.blurry]
        return Standing(sum(scores) / len(scores), 0.0, sum(seen) / len(seen))

    def _look(self) -> Look:
        """The current network on the blurry probes, measured by the leading process, for all."""
        found = [0.0, 0.0]
        if self.processes.leads:
            self.restorer.eval()
            found = list(asdict(look(self.restorer, self.blurry, self.compute)).values())
            self.restorer.train()
        return Look(*self.processes.decided(found, self.compute.device))

    def _mean(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        """Losses over all processes; one transfer from the device."""
        values = self.processes.mean(torch.stack([value.float() for value in losses.values()]))
        return dict(zip(losses, values.tolist(), strict=True))

    def state(self) -> dict[str, Any]:
        """All that `resume` needs, tensors and plain values."""
        return {
            "config": asdict(self.config),
            "step": self.step,
            "network": self.restorer.network.state_dict(),
            "average": self.average.values,
            "optimizer": self.optimizer.state_dict(),
            "history": None if self.history is None else self.history.state(),
            "base": asdict(self.base),
            "best": asdict(self.best),
            "best_step": self.best_step,
            "best_values": self.best_values,
            "stale": self.stale,
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state, as if it had not been interrupted."""
        self.restorer.network.load_state_dict(state["network"])
        self.average.values = _copied(state["average"], self.compute.device)
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = None if state["history"] is None else History.resume(self.restorer, state["history"])
        self.step = int(state["step"])
        self.base, self.best = Standing(**state["base"]), Standing(**state["best"])
        self.best_step, self.stale = int(state["best_step"]), int(state["stale"])
        self.best_values = _copied(state["best_values"], self.compute.device)


def with_values(restorer: Restorer, values: Mapping[str, Tensor]) -> Restorer:
    """A copy of a restorer with other parameters, in eval mode and frozen."""
    other = copy.deepcopy(restorer).eval().requires_grad_(False)
    other.network.load_state_dict(dict(values))
    return other


def _copied(values: Mapping[str, Tensor], device: torch.device | None = None) -> dict[str, Tensor]:
    return {key: value.detach().to(device or value.device, copy=True) for key, value in values.items()}
