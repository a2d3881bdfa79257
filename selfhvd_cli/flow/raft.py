"""Flow by RAFT, torchvision's network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.ops.padding import pad_size


class RaftEstimator:
    """RAFT (Teed and Deng, ECCV 2020) as a `FlowEstimator`; it knows no uncertainty, so the confidence is 1."""

    def __init__(self, network: nn.Module, iterations: int = 12) -> None:
        """
        Args:
            network: `torchvision.models.optical_flow.raft_large()` with its weights loaded; put into eval mode and
                never trained here.
            iterations: updates of the flow.
        """
        self.network = network.eval().requires_grad_(False)
        self.iterations = iterations

    @torch.no_grad()
    def __call__(self, source: Tensor, target: Tensor) -> Flow:
        # torchvision asks for 128 pixels and multiples of 8 (and only notices when both sides are none).
        source, padding = pad_size(2.0 * source.float() - 1.0, 8, min_size=128, where="around")
        target, _ = pad_size(2.0 * target.float() - 1.0, 8, min_size=128, where="around")
        vectors = padding.crop(self.network(source, target, num_flow_updates=self.iterations)[-1]).float()
        return Flow(vectors, torch.ones_like(vectors[:, :1]))
