"""U-Net encoder, whose last map is the features, and the decoder of pretraining."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import ConfigError
from medshot.core.registry import part
from medshot.nn.encoder import Encoder
from medshot.nn.encoders.filters import Filters
from medshot.nn.layers import norm


@part("encoder", "unet")
class UNet(Encoder):
    """Down in `depth` halvings, up again with what each level saw on the way: features a pixel.

    With `filters`, scales in pixels, those of `Filters` lie beside them: what no training changes.

    Source: Ronneberger, Fischer & Brox 2015, arXiv:1505.04597. Level i is `width` x 2^i wide, but
    no wider than 8 x `width`; two convolutions a level on the way down, two on the way up.

    Where we differ: borders are padded, so that the grid is kept; normalisation (by group, by
    default) before each ReLU; nearest pixels and a convolution where the paper has a transposed
    convolution; and no last layer that makes classes out of features: that is the head's business.
    """

    source = "Ronneberger et al. 2015, arXiv:1505.04597"
    keeps_grid = True

    def __init__(
        self,
        *,
        channels: int = 3,
        size: int = 128,
        width: int = 16,
        depth: int = 4,
        norm: str = "group",
        scaling: str = "standard",
        filters: Sequence[float] = (),
    ) -> None:
        super().__init__(channels, size, scaling)
        if depth < 1 or size % 2**depth:
            raise ConfigError(
                f"{depth} halvings of {size} pixels: take depth=1 or more and a size that is a "
                f"multiple of 2^depth (for depth={max(depth, 1)}, of {2 ** max(depth, 1)})."
            )
        self._layers(width, depth, norm)
        self.filters = tuple(filters)
        if self.filters:
            form: dict[str, Any] = {"channels": channels, "size": size, "scaling": scaling}
            self.beside = Filters(**form, scales=self.filters)
            self.n_features += self.beside.n_features

    def _layers(self, width: int, depth: int, norm: str) -> None:
        widths = [width * min(2**level, 8) for level in range(depth + 1)]
        inputs = [self.channels, *widths[:-1]]
        level = partial(_level, policy=norm, dims=self.dims)
        self.down = nn.ModuleList(level(a, b) for a, b in zip(inputs, widths, strict=True))
        pairs = zip(widths[1:], widths[:-1], strict=True)
        self.up = nn.ModuleList(level(below + here, here) for below, here in pairs)
        self.transductive = norm == "transductive"
        self.n_features = width

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n f *s"]:
        """The features of every pixel of images in [0, 1]."""
        z, seen = self.scaled(x), []
        pool = F.max_pool3d if self.dims == 3 else F.max_pool2d
        for i, level in enumerate(self.down):
            z = level(z if i == 0 else pool(z, 2))
            seen.append(z)
        for level, beside in zip(reversed(self.up), reversed(seen[:-1]), strict=True):
            z = level(torch.cat([F.interpolate(z, scale_factor=2.0), beside], 1))
        return torch.cat([z, self.beside(x)], 1) if self.filters else z


@part("encoder", "unet3d")
class UNet3d(UNet):
    """The U-Net for volumes of any shape, all its layers in three dimensions.

    Source: Cicek et al. 2016, arXiv:1606.06650; in all else as `UNet`. A volume is continued by
    its last voxels to a multiple of 2^depth, and cut to its shape again. Intensities are left as
    they are, because a part of a volume must look as it does in the whole.
    """

    source = "Cicek et al. 2016, arXiv:1606.06650"
    dims = 3

    def __init__(
        self,
        *,
        channels: int = 1,
        width: int = 8,
        depth: int = 3,
        norm: str = "group",
        scaling: str = "unit",
    ) -> None:
        Encoder.__init__(self, channels, None, scaling)
        self.depth, self.filters = depth, ()
        self._layers(width, depth, norm)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n f *s"]:
        """The features of every voxel of volumes in [0, 1]."""
        self.check_form(x)
        sides = x.shape[2:]
        beyond = [(0, -side % 2**self.depth) for side in reversed(sides)]
        wide = F.pad(x, [n for pair in beyond for n in pair], mode="replicate")
        return super().forward(wide)[:, :, : sides[0], : sides[1], : sides[2]]


def _level(inputs: int, outputs: int, policy: str, dims: int) -> nn.Sequential:
    convolution = nn.Conv3d if dims == 3 else nn.Conv2d
    first, second = (convolution(n, outputs, 3, padding=1) for n in (inputs, outputs))
    norms = norm(policy, outputs, dims), norm(policy, outputs, dims)
    return nn.Sequential(first, norms[0], nn.ReLU(), second, norms[1], nn.ReLU())


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
