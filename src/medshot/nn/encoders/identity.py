"""Raw pixels and intensities as features: the baseline encoders."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.core import part
from medshot.nn.encoder import Encoder, flat


@part("encoder", "pixels")
class Pixels(Encoder):
    """Pixel intensities as features, `c * size * size` of them.

    With `reduce`, blocks of `reduce` x `reduce` pixels are averaged first.
    """

    source = "the raw image"

    def __init__(
        self, *, channels: int = 3, size: int = 64, reduce: int = 1, scaling: str = "standard"
    ) -> None:
        super().__init__(channels, size, scaling)
        self.reduce = reduce
        self.n_features = channels * (size // reduce) ** 2
        self.register_buffer("nothing", torch.zeros(()))  # carries device and dtype

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """Scaled intensities, averaged over blocks."""
        return flat(F.avg_pool2d(self.scaled(x), self.reduce))


@part("encoder", "as-is")
class AsIs(Encoder):
    """The image itself, of any size, for methods that work on pixels."""

    source = "the raw image"
    keeps_grid = True
    any_size = True

    def __init__(self, *, channels: int = 3, size: int = 128, scaling: str = "unit") -> None:
        super().__init__(channels, size, scaling)
        self.begins_with_image = scaling == "unit"
        self.n_features = channels

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Scaled images."""
        return self.scaled(x)


@part("encoder", "intensities")
class Intensities(Encoder):
    """Pixel intensities as features of each pixel, one per channel."""

    source = "the raw image"
    keeps_grid = True

    def __init__(self, *, channels: int = 3, size: int = 128, scaling: str = "standard") -> None:
        super().__init__(channels, size, scaling)
        self.n_features = channels
        self.register_buffer("nothing", torch.zeros(()))  # carries device and dtype

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f h w"]:
        """Scaled intensities."""
        return self.scaled(x)


@part("encoder", "voxels")
class Voxels(Encoder):
    """Voxel intensities of whole volumes, for learners that make features of their own."""

    source = "the raw volume"
    keeps_grid = True
    dims = 3
    whole = True

    def __init__(self, *, channels: int = 1, scaling: str = "unit") -> None:
        super().__init__(channels, None, scaling)
        self.n_features = channels
        self.register_buffer("nothing", torch.zeros(()))  # carries device and dtype

    def forward(self, x: Float[Tensor, "n c z h w"]) -> Float[Tensor, "n c z h w"]:
        """Scaled intensities."""
        return self.scaled(x)
