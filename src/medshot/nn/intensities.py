"""No encoder at all, and the grid is kept: the pixels themselves, each a site."""

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core.parts import part
from medshot.nn.encoder import Encoder


@part("encoder", "intensities")
class Intensities(Encoder):
    """The intensities of each pixel as its features, one a channel."""

    source = "the raw image"
    keeps_grid = True

    def __init__(self, *, channels: int = 3, size: int = 128, scaling: str = "standard") -> None:
        super().__init__(channels, size, scaling)
        self.n_features = channels
        self.register_buffer("nothing", torch.zeros(()))  # so that it has a device and a type

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f h w"]:
        """The scaled intensities."""
        return self.scaled(x)
