"""No encoder at all: the pixels themselves. The baseline of baselines."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.core.parts import part
from medshot.nn.encoder import Encoder, flat


@part("encoder", "pixels")
class Pixels(Encoder):
    """The intensities as features, `c * size * size` of them.

    With `reduce`, blocks of so many pixels a side are averaged first.
    """

    source = "the raw image"

    def __init__(
        self, *, channels: int = 3, size: int = 64, reduce: int = 1, scaling: str = "standard"
    ) -> None:
        super().__init__(channels, size, scaling)
        self.reduce = reduce
        self.n_features = channels * (size // reduce) ** 2
        self.register_buffer("nothing", torch.zeros(()))  # so that it has a device and a type

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """The scaled intensities, averaged over blocks."""
        return flat(F.avg_pool2d(self.scaled(x), self.reduce))
