"""U-Net encoder, with its last map as features, and the decoder used in pretraining."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import ConfigError, part
from medshot.nn.encoder import Encoder
from medshot.nn.encoders.filters import Filters
from medshot.nn.layers import norm


@part("encoder", "unet")
class UNet(Encoder):
    """U-Net with `depth` downsampling levels and skip connections: features of each pixel.

    With `filters`, the features of `Filters` at these scales (in pixels), which training does not
    change, are concatenated.

    Source: Ronneberger, Fischer & Brox 2015, arXiv:1505.04597. Level i has `width` x 2^i channels,
    at most 8 x `width`, and two convolutions on the way down and two on the way up.

    Where we differ: borders are padded, so that the grid is kept; normalization (group, by
    default) before each ReLU; nearest-neighbor upsampling and a convolution instead of a
    transposed convolution; and no classification layer, which is the head's part.
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
                f"{depth} halvings of {size} pixels: use depth=1 or more and a size that is a "
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
        """Features of every pixel of images in [0, 1]."""
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
    """3D U-Net for volumes of any shape.

    Source: Cicek et al. 2016, arXiv:1606.06650; otherwise as `UNet`. A volume is padded to a
    multiple of 2^depth by replicating its border, and the output is cropped. Intensities are not
    rescaled, because a patch must look as it does in the whole volume.
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
        """Features of every voxel of volumes in [0, 1]."""
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


LEAST = 4  # maximal side of the first map, in pixels


class Decoder(nn.Module):
    """Decodes images of `size` pixels from features `n f`, or from per-pixel features.

    From `n f`, a map of a few pixels is upsampled by 2, with a convolution each time, until it is
    large enough. Per-pixel features need only a 1 x 1 convolution.
    """

    def __init__(
        self, n_features: int, channels: int, size: int, width: int = 32, *, grid: bool = False
    ) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width is {width}, but a decoder needs at least 1 channel.")
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
        """Channels of every pixel, unbounded."""
        if self.grid:
            return self.last(z)
        maps = F.relu(self.first(z).unflatten(1, (self.width, self.side, self.side)))
        for level in self.levels:
            maps = F.relu(level(F.interpolate(maps, scale_factor=2.0)))
        return self.last(maps)[:, :, : self.size, : self.size]
