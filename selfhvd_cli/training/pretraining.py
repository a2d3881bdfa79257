"""Pretraining: the network, its average and its optimizer on the way through supervised windows."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfhvd_cli import __version__
from selfhvd_cli.device import Compute
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.nets.lite import Lite
from selfhvd_cli.nets.lite_alignment import Alignment
from selfhvd_cli.nets.lite_pictures import with_change
from selfhvd_cli.nets.lite_scale import Restoration
from selfhvd_cli.ops.blocks import half_size
from selfhvd_cli.training.averaging import Average
from selfhvd_cli.training.checkpoint import save_checkpoint
from selfhvd_cli.training.origin import Origin
from selfhvd_cli.training.parameters import parameter_groups
from selfhvd_cli.training.pretrain_checkpoint import checkpoint_of
from selfhvd_cli.training.pretrain_config import PretrainConfig
from selfhvd_cli.training.schedule import learning_rate
from selfhvd_cli.training.supervised import flow_loss, picture_loss
from selfhvd_cli.weights.check import check_state_dict
from selfhvd_cli.weights.save import save_state_dict

log = logging.getLogger(__name__)


@dataclass
class Pretraining:
    """Network, average and optimizer of a running training."""

    config: PretrainConfig
    compute: Compute
    checkpoint: Path
    origin: Origin
    network: Lite
    average: Average
    optimizer: torch.optim.Optimizer
    step: int = 0
    """Steps done."""

    @staticmethod
    def begin(
        config: PretrainConfig,
        compute: Compute,
        checkpoint: Path,
        start: dict[str, Tensor] | None,
        origin: Origin,
        afresh: bool = False,
    ) -> Pretraining:
        """A new training, from `start` or random parameters; or, where there is a checkpoint, how it goes on.

        Args:
            origin: of the photographs and of `start`.
            afresh: whether a checkpoint of another training gives way to a new one.

        Raises:
            InputFault: the checkpoint is of another training.
            UsageFault: the flow is to be kept, and there is none.
            WeightsFault: `start` are parameters of another network.
        """
        torch.manual_seed(config.seed % 2**64)  # torch takes no more bits
        network = Lite(sources=config.sources)
        if start is not None:
            check_state_dict("--init", "lite", network.state_dict(), start)
            network.load_state_dict(start)
        saved = checkpoint_of(checkpoint, config, origin, afresh)
        network = network.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.keep_flow:
            if start is None and saved is None:
                raise UsageFault("--keep-flow: a new network has no flow worth keeping; name weights with --init.")
            parameter_groups(network, "lite")  # tells what belongs to the flow to take no gradient
        moving = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(moving, lr=config.rate, betas=(0.9, 0.99), weight_decay=1e-4)
        state = Pretraining(config, compute, checkpoint, origin, network, Average(network), optimizer)
        if saved is not None:
            state._resume(saved)
        return state

    def _resume(self, saved: dict[str, Any]) -> None:
        self.network.load_state_dict(saved["network"])
        self.average.values = {key: value.to(self.compute.device) for key, value in saved["average"].items()}
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step = int(saved["step"])

    def advance(self, batch: Sequence[Tensor]) -> tuple[float, float, float]:
        """One optimizer step; gives the picture's loss, the flow's, and the PSNR gain in dB.

        A batch whose gradient is no number changes nothing: a single one would ruin all parameters for good.

        Args:
            batch: targets, sources, sharp targets and flows, as the pool of windows gives them.
        """
        config = self.config
        rate = learning_rate(self.step, config.steps, config.rate, warmup=200, floor=config.rate * 0.01)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        target, sources, sharp, flows = (x.to(self.compute.device, non_blocking=True) for x in batch)
        rng = np.random.default_rng((config.seed, self.step, 2))
        if rng.random() < 0.5 and config.sources > 2:
            # The network must do with fewer sources, too: clips end, and scenes are cut.
            sources, flows = sources[:, :-1], flows[:, :-1]
        halvings = int(rng.integers(1, config.halvings + 1)) if rng.random() < config.cascade else 0
        with self.compute.autocast():
            results = cascade(self.network, target, sources, halvings)
        picture, flow = target.new_zeros(()), target.new_zeros(())
        for result in results:
            truth, recorded = at_size_of(result.frames, sharp), at_size_of(result.frames, target)
            picture = picture + picture_loss(result.frames, truth, recorded, config.balance)
            flow = flow + flow_loss(result.alignments, flows.flatten(0, 1))
        self.optimizer.zero_grad(set_to_none=True)
        (picture + config.flow_weight * flow).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 0.5)
        if torch.isfinite(norm):
            self.optimizer.step()
            self.average.update(self.network, self.step)
        else:
            log.warning("step %d: the gradient was no number; it changed nothing", self.step)
        self.step += 1
        gain = mean_psnr(results[-1].frames.detach().float(), sharp) - mean_psnr(target, sharp)
        return float(picture.detach()), float(flow.detach()), gain

    def averaged(self) -> Lite:
        """The averaged network."""
        network = Lite(sources=self.config.sources)
        network.load_state_dict(self.average.values)
        return network.to(self.compute.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def save(self, weights: Path, validation: dict[str, float]) -> None:
        """Write the checkpoint, and the averaged weights beside it."""
        self.keep()
        save_weights(weights, self.average.values, self.config, self.step, validation)

    def keep(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(
            self.checkpoint,
            {
                "config": asdict(self.config),
                "origin": asdict(self.origin),
                "network": self.network.state_dict(),
                "average": self.average.values,
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
            },
        )


def cascade(network: Lite, target: Tensor, sources: Tensor, halvings: int) -> list[Restoration]:
    """The target restored at a fraction of its size, then at twice that with what this changed, and so on up to its
    own; each is trained by itself.

    Args:
        target: `[B, 3, H, W]`, RGB in [0, 1].
        sources: `[B, K, 3, H, W]`.
        halvings: how many times it is halved.

    Returns:
        One a size, small to large.
    """
    if halvings == 0:
        return [network.restore(target, sources)]
    small = half_size(target)
    around = half_size(sources.flatten(0, 1)).unflatten(0, sources.shape[:2])
    found = cascade(network, small, around, halvings - 1)
    seen = with_change(target, small, found[-1].frames.detach())
    start = Alignment(*(part.detach() for part in found[-1].alignments[-1]))
    return [*found, network.restore(seen, sources, start, target)]


def at_size_of(frames: Tensor, picture: Tensor) -> Tensor:
    """`picture` halved to the size of `frames`."""
    while picture.shape[-1] > frames.shape[-1]:
        picture = half_size(picture)
    return picture


def save_weights(
    path: Path, values: dict[str, Tensor], config: PretrainConfig, step: int, validation: dict[str, float]
) -> None:
    """Half-precision safetensors with their provenance.

    Raises:
        DiskFault: they cannot be written.
    """
    metadata = {
        "architecture": "lite",
        "version": __version__,
        "config": json.dumps(asdict(config)),
        "step": str(step),
        "validation": json.dumps({name: round(value, 3) for name, value in validation.items()}),
    }
    save_state_dict(path, {key: value.half() for key, value in values.items()}, metadata)


def mean_psnr(picture: Tensor, truth: Tensor) -> float:
    """PSNR in dB, the mean over the batch."""
    error = (picture - truth).square().flatten(1).mean(1).clamp(min=1e-10)
    return float((-10.0 * torch.log10(error)).mean())
