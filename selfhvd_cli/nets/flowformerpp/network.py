"""FlowFormer++ as submitted to Sintel and KITTI: two images -> flow."""

from __future__ import annotations

from torch import Tensor, nn

from selfhvd_cli.nets.flowformerpp.cost_memory import MemoryEncoder
from selfhvd_cli.nets.flowformerpp.decoder import MemoryDecoder
from selfhvd_cli.nets.flowformerpp.twins import TwinsEncoder


class FlowFormerPP(nn.Module):
    """FlowFormer++ (arXiv 2303.01237; XiaoyuShi97/FlowFormerPlusPlus, configs/submissions.py); keys as published,
    less the prefix `module.`.

    Memory grows with (H W / 64)^2: the costs of a 432x960 picture take 168 MB, those of 1080x1920 4.2 GB. Larger
    pictures go through in tiles (`flow/flowformerpp.py`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.memory_encoder = MemoryEncoder(TwinsEncoder())
        self.memory_decoder = MemoryDecoder()
        self.context_encoder = TwinsEncoder()

    def forward(self, image1: Tensor, image2: Tensor) -> tuple[Tensor, Tensor]:
        """Flow from `image1` to `image2`.

        Args:
            image1, image2: `[B, 3, H, W]`, RGB in [0, 1]; H and W multiples of 8, at least 64.

        Returns:
            `[B, 2, H, W]` and `[B, 2, H/8, W/8]`, float32, (dx, dy) in pixels of their own size.

        Raises:
            ValueError: H or W is no multiple of 8.
        """
        if image1.shape[-2] % 8 or image1.shape[-1] % 8:
            raise ValueError(f"images must be [B, 3, 8n, 8m], got {tuple(image1.shape)}")
        image1, image2 = 2.0 * image1 - 1.0, 2.0 * image2 - 1.0
        context = self.context_encoder(image1)
        maps, memory = self.memory_encoder(image1, image2, context)
        return self.memory_decoder(maps, memory, context)
