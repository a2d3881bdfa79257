"""The learning objective: stage 1 (Eq. 13) and stage 2 (Eq. 14), term by term."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from selfhvd_cli.device import Compute
from selfhvd_cli.flow.estimator import FlowEstimator
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.training.batches import Batch
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.consistency import History, consistency_loss
from selfhvd_cli.training.enhance import choose_supervision
from selfhvd_cli.training.losses import perceptual_loss, reconstruction_loss
from selfhvd_cli.training.masks import inside_crop
from selfhvd_cli.training.pairs import AlignedLabels, align_labels, teaches
from selfhvd_cli.training.perceptual import Perceptual
from selfhvd_cli.training.restoring import restore_targets


@dataclass(frozen=True)
class Objective:
    """What is needed to compute the losses of a batch, and to send their gradients back."""

    estimator: FlowEstimator
    """Aligns labels; takes no gradient."""

    perceptual: Perceptual | None
    """VGG-19, where it is at hand."""

    config: AdaptConfig
    """Switches and weights."""

    compute: Compute
    """Where and in what precision the network runs."""

    trusted: bool = True
    """Whether the clip's sharp frames are sharper than what the base network makes of them."""

    base: Restorer | None = None
    """The network as it began, frozen: what it makes of a sharp frame is what that frame is to stay. None where sharp
    frames are their own labels as they were recorded."""

    def backward_stage_one(self, restorer: Restorer, batch: Batch) -> dict[str, Tensor]:
        """L = L_rec + λ·L_per (Eq. 13) on the aligned labels; adds its gradient to the parameters.

        Returns:
            The losses by name, without gradient.
        """
        output = restore_targets(restorer, batch.frames, batch.keep, self.compute)
        aligned = self._aligned(output, batch)
        weight = (self._teaches(aligned, output, batch) & batch.taught.flatten()).float()
        losses = self._compare(output.flatten(0, 1), aligned.pictures, aligned.mask, weight)
        self._send_back(losses)
        return _detached(losses) | {"taught": weight.mean()}

    def backward_stage_two(self, restorer: Restorer, batch: Batch, history: History | None) -> dict[str, Tensor]:
        """L = L_sevd + λ·L_per + λ·L_sc (Eq. 14); adds its gradient to the parameters.

        The two terms need a graph each, of D(V⁻) and of D(V); they are sent back one after the other, so that only
        one is in memory at a time.
        """
        if not self.config.sevd:
            return self._stage_two_without_sevd(restorer, batch, history)
        losses: dict[str, Tensor] = {}
        with torch.set_grad_enabled(history is not None):
            whole = restore_targets(restorer, batch.frames, batch.keep, self.compute)
        if history is not None:
            losses |= self._consistency(whole, batch, history)
            self._send_back(losses)
        whole = whole.detach()
        supervision_frames, targets = _reduced(batch) if self.config.rscr else (batch.frames, None)
        aligned = self._aligned(whole, batch)
        usable = self._teaches(aligned, whole, batch)
        chosen = choose_supervision(aligned, whole.flatten(0, 1), usable, batch.own.flatten(), self.config)
        pictures, mask, weight = chosen.pictures, chosen.mask, batch.taught.flatten().float()
        if targets is not None:
            pictures, mask, weight = pictures[targets.index], mask[targets.index], weight[targets.index]
            weight = weight * targets.known
        output = restore_targets(restorer, supervision_frames, batch.keep, self.compute)
        sevd = self._compare(output.flatten(0, 1), pictures, mask, weight)
        self._send_back(sevd)
        named = {("sevd" if name == "rec" else name): value for name, value in sevd.items()}
        return _detached(losses | named) | {"from label": chosen.from_label.float().mean()}

    def _stage_two_without_sevd(self, restorer: Restorer, batch: Batch, history: History | None) -> dict[str, Tensor]:
        output = restore_targets(restorer, batch.frames, batch.keep, self.compute)
        aligned = self._aligned(output, batch)
        weight = (self._teaches(aligned, output, batch) & batch.taught.flatten()).float()
        losses = self._compare(output.flatten(0, 1), aligned.pictures, aligned.mask, weight)
        if history is not None:
            losses |= self._consistency(output, batch, history)
        self._send_back(losses)
        return _detached(losses) | {"taught": weight.mean()}

    def _aligned(self, output: Tensor, batch: Batch) -> AlignedLabels:
        """Labels of the batch on the network's current output, flattened to N = B·K."""
        output, targets, labels = (x.flatten(0, 1) for x in (output.detach(), batch.targets, self._labels(batch)))
        return align_labels(output, targets, labels, batch.own.flatten(), self.estimator, self.config)

    @torch.no_grad()
    def _labels(self, batch: Batch) -> Tensor:
        """`[B, K, 3, h, h]`: the batch's, but of a sharp frame what the base network makes of the very same crop.

        Its label, cut from the whole frame, differs from that by more than there is to learn: following it, the
        network sharpened all whole frames too much (0.4 dB on the sharp ones of a clip in 20 steps). A re-blurred one
        is to lose its blur, and what the base network makes of that teaches nothing.
        """
        kept_alike = batch.own & ~batch.reblurred
        rows = torch.nonzero(kept_alike.any(dim=1)).flatten()
        if self.base is None or not len(rows):
            return batch.labels
        keep = [batch.keep[row] for row in rows.tolist()]
        kept = restore_targets(self.base, batch.frames[rows], keep, self.compute)
        labels = batch.labels.clone()
        labels[rows] = torch.where(kept_alike[rows, :, None, None, None], kept.clamp(0, 1), labels[rows])
        return labels

    def _teaches(self, aligned: AlignedLabels, output: Tensor, batch: Batch) -> Tensor:
        output, inputs = output.detach().flatten(0, 1), batch.targets.flatten(0, 1)
        return teaches(aligned, output, inputs, batch.own.flatten(), self.trusted, self.config)

    def _compare(self, output: Tensor, target: Tensor, mask: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """L_rec and L_per inside the crops, each the mean over all targets; those of weight 0 add nothing."""
        mask = inside_crop(mask)
        losses = {"rec": (weight * reconstruction_loss(output, target, mask)).mean()}
        if self.perceptual is not None and self.config.perceptual_weight:
            losses["per"] = (weight * perceptual_loss(self.perceptual, output, target, mask)).mean()
        return losses

    def _consistency(self, output: Tensor, batch: Batch, history: History) -> dict[str, Tensor]:
        """L_sc; withheld frames do not take part."""
        earlier = history.output(batch.frames, batch.keep, self.compute)
        each = consistency_loss(output.flatten(0, 1), earlier.flatten(0, 1))
        return {"sc": (batch.taught.flatten() * each).mean()}

    def _send_back(self, losses: Mapping[str, Tensor]) -> None:
        weights = {"per": self.config.perceptual_weight, "sc": self.config.consistency_weight}
        total = torch.stack([weights.get(name, 1.0) * value for name, value in losses.items()]).sum()
        if total.requires_grad:
            total.backward()


@dataclass(frozen=True)
class _Targets:
    """For every target of V⁻, which target of V has the same content."""

    index: Tensor
    """`[N]`, long: place among the flattened targets."""

    known: Tensor
    """`[N]`: 1 where that frame is among the targets, else 0."""


def _reduced(batch: Batch) -> tuple[Tensor, _Targets]:
    """V⁻, and where the supervision of its targets is: of the frame that now stands there (Eq. 7's m)."""
    rows = torch.arange(len(batch.frames), device=batch.frames.device).unsqueeze(1)
    frames = batch.frames[rows, batch.reduced]
    index, known = [], []
    for number, keep in enumerate(batch.keep):
        count = keep.stop - keep.start
        source = batch.reduced[number, keep] - keep.start
        known.append((source >= 0) & (source < count))
        index.append(number * count + source.clamp(0, count - 1))
    return frames, _Targets(torch.cat(index), torch.cat(known).float())


def _detached(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in losses.items()}
