"""Features of pixels for masks: filters, colors, and the maps of a network at several depths."""

from collections.abc import Sequence
from typing import NamedTuple, TypeGuard

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import part
from medshot.nn.encoders.filters import Filters
from medshot.nn.encoders.mobilenet import MobileNet
from medshot.nn.heads import features, rows_to_grid, sites

DEPTHS = ("block1_pw", "block3_pw", "block5_pw", "block11_pw")  # strides 2, 4, 8 and 16
KEPT = (16, 24, 32, 32)  # principal components of each depth
FINE = 3  # depths whose components are read at every pixel
NETWORK = 256  # pixels a side at which a MobileNet reads: twice as fine as the image
OBJECTS = 32  # cells a side of the grid for what a thing is
SCALES = (0.8, 2.0, 4.0, 8.0)  # of the filters, in pixels of a 128 x 128 image
N_PIXEL = 25  # features of `pixel_features`
CHROMA = 4.0
REFERENCE = 128  # pixels a side to which scales refer
BLUR = 2.0  # pixels at 128 x 128: of chroma
SMALL = 1e-6


class Maps(NamedTuple):
    """Features of images: of every pixel, and of the encoder at several depths."""

    pixels: Float[Tensor, "n p h w"]
    depths: list[Tensor]

    def of(self, chosen: Int[Tensor, "m"]) -> "Maps":
        """Those of some of the images."""
        return Maps(self.pixels[chosen], [z[chosen] for z in self.depths])

    def objects(self) -> Float[Tensor, "n f i j"]:
        """The deeper maps on the grid for objects, each L2-normalized and scaled by its width."""
        deeper = self.depths[1:] or self.depths
        side = min(OBJECTS, *(z.shape[2] for z in deeper[:2]))
        grids = [on_grid(z, side) for z in deeper]
        return torch.cat([F.normalize(z, dim=1) * z.shape[1] ** 0.5 for z in grids], 1)


@part("module", "principal-components")
class PrincipalComponents(nn.Module):
    """Whitened principal components of the maps of each depth."""

    means: Tensor
    axes: Tensor

    def __init__(
        self, means: Float[Tensor, "f"], axes: Float[Tensor, "f d"], kept: Sequence[int]
    ) -> None:
        super().__init__()
        self.kept = tuple(kept)
        self.register_buffer("means", means)
        self.register_buffer("axes", axes)

    def forward(self, maps: Maps) -> list[Tensor]:
        """Components of each depth, on its own grid."""
        found, row = [], 0
        for z, n in zip(maps.depths, self.kept, strict=True):
            rows = slice(row, row + z.shape[1])
            row += z.shape[1]
            found.append(rows_to_grid((sites(z) - self.means[rows]) @ self.axes[rows, :n], z))
        return found


def fine_grid(maps: Maps, components: Sequence[Tensor]) -> Float[Tensor, "n f h w"]:
    """Pixel features and the components of the finer depths, for every pixel."""
    side = maps.pixels.shape[2]
    return torch.cat([maps.pixels, *(on_grid(z, side) for z in components[:FINE])], 1)


def half_grid(maps: Maps, components: Sequence[Tensor]) -> Float[Tensor, "n f i j"]:
    """Pixel features, all components and coordinates, on a grid of half the sides."""
    pixels = F.avg_pool2d(maps.pixels, 2)
    found = [on_grid(z, pixels.shape[2]) for z in components]
    return torch.cat([pixels, *found, coordinates(pixels)], 1)


def principal_components(maps: Maps) -> PrincipalComponents:
    """Fit to the maps of a support."""
    means, axes, kept = [], [], []
    for z, most in zip(maps.depths, KEPT[-len(maps.depths) :], strict=True):
        rows = sites(z)
        rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), 6000)).long()]
        middle = rows.mean(0)
        values, vectors = torch.linalg.eigh((rows - middle).T @ (rows - middle) / len(rows))
        n = min(most, z.shape[1])
        largest = vectors[:, -n:]
        signs = largest.gather(0, largest.abs().argmax(0)[None]).sign()
        scaled = signs * largest / values[-n:].clamp(min=SMALL).sqrt()
        means.append(middle)
        axes.append(F.pad(scaled, (0, max(KEPT) - n)))
        kept.append(n)
    return PrincipalComponents(torch.cat(means), torch.cat(axes), kept)


def coordinates(like: Float[Tensor, "n f h w"]) -> Float[Tensor, "n 6 h w"]:
    """Row and column from -1 to 1, their squares and product, and the distance from the middle."""
    y, x = (torch.linspace(-1, 1, side).to(like) for side in like.shape[2:])
    y, x = y[:, None].expand(like.shape[2:]), x[None].expand(like.shape[2:])
    found = torch.stack([y, x, y**2, x**2, y * x, (y**2 + x**2).sqrt()])
    return found[None].expand(like.shape[0], -1, -1, -1)


@part("module", "mask-maps")
class MaskMaps(nn.Module):
    """Images to `Maps`: filters of intensity, chroma, and the maps of the encoder.

    A MobileNet gives the maps after `DEPTHS`, read at 256 pixels; another encoder its one map.
    """

    def __init__(self, encoder: nn.Module, size: int = REFERENCE) -> None:
        super().__init__()
        self.encoder, self.size = encoder, size
        scales = [scale * size / REFERENCE for scale in SCALES]
        self.filters = Filters(channels=1, size=size, scales=scales)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Maps:
        """Features of images in [0, 1]."""
        return Maps(self.pixel_features(x), self._depths(x))

    def pixel_features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 25 h w"]:
        """Filters of the intensity, two differences of colors, and these blurred."""
        gray = x.mean(1, keepdim=True)
        red, green, blue = x.unbind(1) if x.shape[1] == 3 else (gray[:, 0],) * 3
        chroma = CHROMA * torch.stack([red - green, blue - green], 1)
        blurred = blur(chroma, BLUR * self.size / REFERENCE)
        return torch.cat([self.filters(gray), chroma, blurred], 1)

    def _depths(self, x: Float[Tensor, "n c h w"]) -> list[Tensor]:
        if not has_depths(self.encoder):
            return [features(self.encoder, x, unit=False)]
        z = on_grid(self.encoder.scaled(x), max(NETWORK, x.shape[2]))
        return self.encoder.onward(z, DEPTHS)


def has_depths(encoder: nn.Module) -> TypeGuard[MobileNet]:
    """Whether `encoder` is the packaged network, with its `DEPTHS`."""
    return isinstance(encoder, MobileNet) and encoder.packaged


def blur(x: Float[Tensor, "n c h w"], scale: float) -> Float[Tensor, "n c h w"]:
    """Gaussian blur of `scale` pixels; the border is replicated."""
    reach = int(3 * scale)
    weights = torch.exp(-((torch.arange(-reach, reach + 1) / scale) ** 2) / 2).to(x)
    kernel = (weights / weights.sum()).expand(x.shape[1], 1, -1)
    across = F.pad(x, (reach, reach, 0, 0), mode="replicate")
    once = F.conv2d(across, kernel[:, :, None, :], groups=x.shape[1])
    down = F.pad(once, (0, 0, reach, reach), mode="replicate")
    return F.conv2d(down, kernel[:, :, :, None], groups=x.shape[1])


def on_grid(z: Float[Tensor, "n c h w"], side: int) -> Float[Tensor, "n c s s"]:
    """Average down, or interpolate up."""
    if z.shape[2] == side == z.shape[3]:
        return z
    if z.shape[2] > side:
        return F.adaptive_avg_pool2d(z, side)
    return F.interpolate(z, (side, side), mode="bilinear")
