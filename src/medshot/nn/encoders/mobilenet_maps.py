"""Dense features: maps of the packaged MobileNet at four depths, and a filter bank."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.core import part
from medshot.nn.encoder import Encoder
from medshot.nn.encoders.filters import Filters
from medshot.nn.encoders.mobilenet import MobileNet

DEPTHS = {"block3_pw": 128, "block5_pw": 256, "block7_pw": 512, "block11_pw": 512}
STRIDES = 32  # a multiple of all strides
KEPT = 128  # dimensions of a deep map after random projection


@part("encoder", "mobilenet-maps")
class MobileNetMaps(Encoder):
    """Features at every fourth pixel, for boxes.

    Maps of the packaged MobileNet (ImageNet weights) at strides 4, 8 and 16, each site divided by
    its root mean square over channels and resized bilinearly; then the filter bank of `Filters`,
    averaged over 4 x 4 pixels. The two deepest maps, of 512 channels, are projected onto 128
    random orthogonal directions with a fixed seed.

    Source: Hariharan et al. 2015, arXiv:1411.5752 (hypercolumns); random projections: Johnson &
    Lindenstrauss 1984.
    """

    source = "Hariharan et al. 2015, arXiv:1411.5752"
    keeps_grid = True
    stride = 4

    def __init__(
        self,
        *,
        channels: int = 3,
        size: int = 256,
        scales: Sequence[float] = (1.0, 2.0, 4.0, 8.0),
    ) -> None:
        super().__init__(channels, size, "unit")
        self.net = MobileNet(channels=channels, size=size)
        self.filters = Filters(channels=channels, size=size, scales=scales)
        generator = torch.Generator().manual_seed(0)
        for name, width in DEPTHS.items():
            if width > 2 * KEPT:
                drawn = torch.randn(width, KEPT, generator=generator, dtype=torch.float64)
                basis = torch.linalg.qr(drawn)[0] * (width / KEPT) ** 0.5
                self.register_buffer(f"onto_{name}", basis.float())
        self.n_features = sum(_kept(width) for width in DEPTHS.values())
        self.n_features += self.filters.n_features

    def pretrained(self) -> "MobileNetMaps":
        """Self, with the packaged ImageNet weights.

        Raises:
            SaveError: the file of weights is missing or damaged.
        """
        self.net.pretrained()
        self.about = self.net.about
        return self

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f i j"]:
        """Features of images in [0, 1], one vector per 4 x 4 pixels."""
        return self.enlarged(x, 1.0)

    def enlarged(self, x: Float[Tensor, "n c h w"], zoom: float) -> Float[Tensor, "n f i j"]:
        """Features of images enlarged `zoom` times, for small objects."""
        self.check_form(x)
        seen = self.net.scaled(x)
        if zoom != 1:
            side = STRIDES * round(zoom * x.shape[2] / STRIDES)  # padded as without zoom
            seen, x = (F.interpolate(each, (side, side), mode="bilinear") for each in (seen, x))
        grid = (-(-x.shape[2] // self.stride), -(-x.shape[3] // self.stride))
        found = []
        for name, z in zip(DEPTHS, self.net.onward(seen, tuple(DEPTHS)), strict=True):
            even = z / (z.square().mean(1, keepdim=True) + 1e-4).sqrt()
            basis = getattr(self, f"onto_{name}", None)
            if basis is not None:
                even = torch.einsum("ncij,cd->ndij", even, basis)
            found.append(F.interpolate(even, grid, mode="bilinear"))
        return torch.cat([*found, F.adaptive_avg_pool2d(self.filters(x), grid)], 1)


def _kept(width: int) -> int:
    return width if width <= 2 * KEPT else KEPT
