"""Keeping sharpness: mixing results with their inputs so that the variance of the Laplacian does not fall."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from selfhvd_cli.ops.blocks import block_means, enlarged
from selfhvd_cli.ops.sharpness import gray
from selfhvd_cli.ops.stencil import binomial, fine_band, laplacian

BLOCK = 8
"""Side in pixels of the blocks in which energies are counted and masks are made."""

LOST = (0.6, 1.2)
"""Share of the input's grain a block needs to be as sharp as it was, where the input begins to come back and does."""

DETAIL = (2.0, 6.0)
"""Laplacian energy of a block, in multiples of the quietest blocks', where noise ends and detail is sure."""

QUIET = 0.2
"""Share of the blocks that count as the quietest: what they show is taken for noise."""

MARGIN = 0.005
"""Laplacian energy a frame is given beyond what it had, where it is given any: what codes round away takes some."""


class Detail(NamedTuple):
    """Laplacian energies of blocks, `[N, 1, h, w]`, from which that of any mix of the pictures follows."""

    source: Tensor
    """Of the input."""

    cross: Tensor
    """Input times change."""

    change: Tensor
    """Of the change."""

    grain_source: Tensor
    """Input times the input's grain (its finest band)."""

    grain_change: Tensor
    """Change times grain."""

    grain: Tensor
    """Of the grain."""

    sharpness: Tensor
    """Variance of the Laplacian of the whole input, `[N]`, in 8-bit code values."""

    def growth(self, floor: float) -> Tensor:
        """How many times the energy of each block has grown."""
        return (self.source + 2.0 * self.cross + self.change) / (self.source + floor)


def measure(source: Tensor, picture: Tensor) -> Detail:
    """Energies of inputs and their results, grey `[N, 1, H, W]`."""
    at_source = laplacian(source)
    at_change = laplacian(picture).sub_(at_source)
    at_grain = fine_band(at_source)
    fields = (at_source, at_change, at_grain)
    pairs = [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)]
    means = [block_means(fields[one] * fields[two], BLOCK) for one, two in pairs]
    energy, cross, change, grain_source, grain_change, grain = binomial(torch.cat(means, dim=1)).split(1, dim=1)
    return Detail(energy, cross, change, grain_source, grain_change, grain, _variance(at_source))


def _variance(field: Tensor) -> Tensor:
    """`[N]`, in 8-bit code values. A Laplacian's mean is next to nothing, so nothing cancels out here."""
    square = torch.linalg.vector_norm(field, dim=(1, 2, 3)).square()
    return (square / field[0].numel() - field.mean((1, 2, 3)).square()) * 255.0**2


class Mix(NamedTuple):
    """How much of the change and of the input's grain goes into frames."""

    mask: Tensor
    """Share of the change, `[N, 1, h, w]` in blocks."""

    added: Tensor | None
    """Grey pictures `[N, 1, H, W]` to add; None: nothing."""

    sharpness: Tensor
    """Variance of the Laplacian of the mixed frames, `[N]`, in 8-bit code values, before anything is clipped."""

    succeeded: Tensor
    """Whether they are as sharp as their inputs, `[N]`; where they are not, the input must stay."""

    def of(self, source: Tensor, picture: Tensor, needed: Tensor) -> tuple[Tensor, Mix]:
        """The mixed frames `[N, 3, H, W]` in [0, 1], and what they have become.

        Black and white have no room for grain, so what is clipped is made up for where there is room.

        Args:
            source, picture: the inputs and their results, RGB in [0, 1].
            needed: variances of the Laplacian that they shall have, `[N]`, in 8-bit code values.
        """
        mixed = torch.lerp(source, picture, enlarged(self.mask, BLOCK, source.shape[-2:]))
        if self.added is None:
            return mixed.clamp_(0.0, 1.0), self
        mixed.add_(self.added).clamp_(0.0, 1.0)
        for left in reversed(range(ROUNDS + 1)):
            at_mixed = laplacian(gray(mixed))
            after = _variance(at_mixed)
            if left == 0 or bool((after >= needed).all()):
                break
            # To those that have enough it gives nothing.
            share = _needed_share(at_mixed, laplacian(self.added), needed).mul_(after < needed)
            mixed.addcmul_(self.added, share.view(-1, 1, 1, 1)).clamp_(0.0, 1.0)
        return mixed, self._replace(sharpness=after, succeeded=self.succeeded & (after >= needed))


ROUNDS = 3
"""Times that grain is given for grain that was clipped. Two were enough for every dark or overexposed clip tried."""


MOST = 2.0
"""Most of the grain that blocks need that is given back to keep a frame as sharp as it was."""


def keep_sharp(source: Tensor, picture: Tensor, trust: Tensor, detail: Detail) -> Mix:
    """Mixes at least as sharp as the inputs.

    Blocks that came out smoother get the input's grain back, as much of it as the frame needs in all. Where even all
    of it would not do and more than noise went away, detail was lost, and the input itself comes back.

    Args:
        source, picture: the inputs and their results, grey `[N, 1, H, W]`.
        trust: share of the change that may pass, in blocks.
        detail: their energies.
    """
    energies = detail.source.flatten(1)
    quiet = energies.kthvalue(max(1, int(QUIET * energies.shape[1])), dim=1).values.view(-1, 1, 1, 1)
    surely = ramp(detail.source / (quiet + 1e-9), DETAIL)
    lost = binomial(surely * ramp(_needed_grain(trust, detail), LOST))
    mask = trust * (1.0 - lost)
    mixed = torch.lerp(source, picture, enlarged(mask, BLOCK, source.shape[-2:]))
    at_mixed = laplacian(mixed)
    after = _variance(at_mixed)
    short = after < detail.sharpness
    if not bool(short.any()):
        return Mix(mask, None, after, ~short)
    # Of the finest a sixth less does, in energy, than of all that `binomial` takes away.
    needed = binomial(_needed_grain(mask, detail).clamp_(0.0, LOST[1]))
    grain = fine_band(fine_band(source)).mul_(enlarged(needed, BLOCK, source.shape[-2:]))
    at_grain = laplacian(grain)
    share = _needed_share(at_mixed, at_grain, detail.sharpness).mul_(short).view(-1, 1, 1, 1)
    after = _variance(at_mixed.addcmul_(at_grain, share))
    return Mix(mask, grain.mul_(share), after, after >= detail.sharpness)


def _needed_grain(mask: Tensor, detail: Detail) -> Tensor:
    """How much of the input's grain a block needs to keep its Laplacian energy: 0 where it has grown."""
    slope = detail.grain_source + mask * detail.grain_change
    # The positive root of gain + 2 slope g + grain g² = 0.
    root = (slope.square() - detail.grain * _gain(mask, detail).clamp(max=0.0)).clamp_min(0.0).sqrt()
    return ((root - slope) / (detail.grain + 1e-12)).clamp(0.0, 4.0)


def _gain(mask: Tensor, detail: Detail) -> Tensor:
    return 2.0 * mask * detail.cross + mask.square() * detail.change


def _needed_share(at_mixed: Tensor, at_grain: Tensor, sharpness: Tensor) -> Tensor:
    """The smallest share of the grain with which each frame is as sharp as it was, `[N]`, 0 to `MOST`.

    Args:
        at_mixed, at_grain: Laplacians of the mixed frames and of the grain, `[N, 1, H, W]`.
        sharpness: variances of the Laplacian that they shall have, `[N]`, in 8-bit code values.
    """
    lacking = (1.0 + MARGIN) * sharpness * (at_mixed[0].numel() / 255.0**2) - at_mixed.square().sum((1, 2, 3))
    slope, bend = (at_grain * at_mixed).sum((1, 2, 3)), at_grain.square().sum((1, 2, 3))
    # The positive root of bend s² + 2 slope s = lacking.
    root = (slope.square() + bend * lacking.clamp_min(0.0)).sqrt() - slope
    return (root / (bend + 1e-12)).clamp(0.0, MOST)


def ramp(measured: Tensor, limits: tuple[float | Tensor, float | Tensor]) -> Tensor:
    """0 where a measure is below the first limit, 1 above the second, smooth between."""
    position = ((measured - limits[0]) / (limits[1] - limits[0])).clamp_(0.0, 1.0)
    return position * position * (3.0 - 2.0 * position)
