"""Detail tells edges from noise where plain sharpness does not."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from selfhvd_cli.ops.detail import detail
from selfhvd_cli.ops.sharpness import sharpness


def test_a_restored_picture_beats_a_blurry_noisy_one() -> None:
    generator = torch.Generator().manual_seed(0)
    blocks = torch.rand(1, 3, 12, 12, generator=generator)
    sharp = F.interpolate(blocks, size=(96, 96), mode="bicubic", align_corners=False).clamp(0, 1)
    soft = F.avg_pool2d(F.pad(sharp, (4, 4, 4, 4), mode="replicate"), 9, stride=1)
    noisy = soft + 0.02 * torch.randn(soft.shape, generator=generator)
    assert sharpness(noisy) > sharpness(sharp)
    assert detail(sharp) > detail(soft)
    assert detail(noisy) / detail(sharp) < 0.3 * sharpness(noisy) / sharpness(sharp)
