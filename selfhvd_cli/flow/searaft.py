"""Flow by SEA-RAFT, at the scale its authors evaluate it, with its own uncertainty."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.nets.searaft import Prediction, SeaRaft, mean_log_scale
from selfhvd_cli.ops.padding import pad_size


class SeaRaftEstimator:
    """SEA-RAFT as a `FlowEstimator`; the confidence is exp(-U) with U = `mean_log_scale` of its error mixture."""

    def __init__(self, network: SeaRaft, scale: int = -1) -> None:
        """
        Args:
            network: with its weights loaded; put into eval mode and never trained here.
            scale: the network runs at 2^scale times the size. -1 as in the official Spring configuration,
                which was trained at 540x960 for pictures of 1080x1920; 0 for small pictures and small motion.
        """
        if scale > 0:
            raise ValueError(f"scale must be 0 or negative, got {scale}")
        self.network = network.eval().requires_grad_(False)
        self.scale = scale

    @torch.no_grad()
    def __call__(self, source: Tensor, target: Tensor) -> Flow:
        prediction = self.predict(source, target)
        return Flow(prediction.flow, torch.exp(-mean_log_scale(prediction.info)))

    def predict(self, source: Tensor, target: Tensor) -> Prediction:
        """Flow in full-size pixels and the mixture's parameters, both at the size of the pictures.

        The log scales stay those of the reduced pictures, as in the official code: the error doubles with the
        size, its logarithm is not corrected.
        """
        factor = 2**-self.scale
        # The official code halves odd sizes down and ends a pixel short; one repeated edge pixel keeps them whole.
        source, padding = pad_size(source.float(), factor)
        target, _ = pad_size(target.float(), factor)
        prediction = self.network(*(_shrink(image, factor) for image in (source, target)))
        flow = _enlarge(prediction.flow, factor, "bilinear") * factor
        return Prediction(padding.crop(flow), padding.crop(_enlarge(prediction.info, factor, "nearest")))


def _shrink(image: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return image
    return F.interpolate(image, scale_factor=1.0 / factor, mode="bilinear", align_corners=False)


def _enlarge(values: Tensor, factor: int, mode: str) -> Tensor:
    return values if factor == 1 else F.interpolate(values, scale_factor=float(factor), mode=mode)
