"""From features back to an image: what an encoder is made to keep."""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import ConfigError

LEAST = 4  # pixels a side of the first map, or fewer if the image is smaller


class Decoder(nn.Module):
    """Images of `size` pixels from features `n f`, or from features of every pixel.

    Whole images are drawn from one map of a few pixels that is doubled until it is large enough,
    with a convolution each time. What keeps the grid needs a mixture of its features only.
    """

    def __init__(
        self, n_features: int, channels: int, size: int, width: int = 32, *, grid: bool = False
    ) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width is {width}, but a decoder has 1 channel or more.")
        self.size, self.width, self.grid = size, width, grid
        if grid:
            self.last = nn.Conv2d(n_features, channels, 1)
            return
        doublings = max(0, math.ceil(math.log2(size / LEAST)))
        self.side = math.ceil(size / 2**doublings)
        self.first = nn.Linear(n_features, width * self.side**2)
        convolutions = [nn.Conv2d(width, width, 3, padding=1) for _ in range(doublings)]
        self.levels = nn.ModuleList(convolutions)
        self.last = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, z: Float[Tensor, "n f *t"]) -> Float[Tensor, "n c h w"]:
        """Channels for every pixel, without bounds."""
        if self.grid:
            return self.last(z)
        maps = F.relu(self.first(z).unflatten(1, (self.width, self.side, self.side)))
        for level in self.levels:
            maps = F.relu(level(F.interpolate(maps, scale_factor=2.0)))
        return self.last(maps)[:, :, : self.size, : self.size]
