"""VGG-19 up to its last convolution, whose features Eqs. 11 and 12 compare."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from selfhvd_cli.errors import WeightsFault

CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512)
"""Widths of the convolutions (Simonyan and Zisserman 2014, configuration E); 0 halves the picture."""

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pictures the network was trained with, R, G, B."""


class Perceptual(nn.Module):
    """Features of conv5_4 before its ReLU, as restoration networks commonly compare; never trained."""

    def __init__(self, state: Mapping[str, Tensor] | None = None) -> None:
        """
        Args:
            state: VGG-19's parameters with torchvision's keys (`features.0.weight` …), others are passed over; None
                leaves fresh ones.

        Raises:
            WeightsFault: parameters are missing or of another shape.
        """
        super().__init__()
        layers: list[nn.Module] = []
        given = 3
        for width in CHANNELS:
            if width == 0:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers += [nn.Conv2d(given, width, 3, padding=1), nn.ReLU()]
            given = width
        self.features = nn.Sequential(*layers[:-1])
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD).view(1, 3, 1, 1), persistent=False)
        if state is not None:
            wanted = self.state_dict()
            try:
                self.load_state_dict({key: state[key].float() for key in wanted})
            except (KeyError, RuntimeError) as fault:
                raise WeightsFault(
                    f"vgg19: not the parameters of VGG-19 ({fault}); fetch them again: selfhvd weights pull vgg19, "
                    "or use --perceptual none."
                ) from fault
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        """`[N, 512, H/16, W/16]` of `[N, 3, H, W]`, RGB in [0, 1], H and W at least 16."""
        normalised: Tensor = (pictures - self.get_buffer("mean")) / self.get_buffer("spread")
        features: Tensor = self.features(normalised)
        return features
