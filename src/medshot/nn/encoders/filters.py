"""Multi-scale filter banks for images and volumes: fixed pixel features, weak but fast."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.core import ConfigError, part
from medshot.nn.encoder import Encoder


@part("encoder", "filters")
class Filters(Encoder):
    """Pixel intensity, and per scale: blur, gradient magnitude, Laplacian, two curvatures.

    Source: the features of ilastik (Berg et al. 2019, Nat. Methods 16, 1226-1232); derivatives of
    a Gaussian of `scales` pixels, normalized by the scale to the power of their order (Lindeberg
    1998, Int. J. Comput. Vis. 30, 79-116). Curvatures are the eigenvalues of the Hessian. The
    image is padded by replicating its border.
    """

    source = "Berg et al. 2019, doi:10.1038/s41592-019-0582-9"
    keeps_grid = True
    any_size = True

    def __init__(
        self,
        *,
        channels: int = 3,
        size: int = 128,
        scales: Sequence[float] = (1.0, 2.0, 4.0, 8.0),
        scaling: str = "standard",
    ) -> None:
        super().__init__(channels, size, scaling)
        if not scales or min(scales) <= 0:
            raise ConfigError(
                f"scales={list(scales)} must be one or more sizes above 0, in pixels."
            )
        self.scales = tuple(scales)
        self.begins_with_image = scaling == "unit"
        self.n_features = channels * (1 + 5 * len(self.scales))
        for i, scale in enumerate(self.scales):
            self.register_buffer(f"kernels_{i}", derivatives(scale))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f h w"]:
        """Features of every pixel of images in [0, 1]."""
        z = self.scaled(x)
        kernels = [getattr(self, f"kernels_{i}") for i in range(len(self.scales))]
        found = [self._at(z.flatten(0, 1)[:, None], kernel) for kernel in kernels]
        seen = torch.cat([each.unflatten(0, z.shape[:2]).flatten(1, 2) for each in found], 1)
        return torch.cat([z, seen], 1)

    def _at(self, z: Float[Tensor, "m 1 h w"], kernel: Tensor) -> Float[Tensor, "m 5 h w"]:
        """Features of each channel at one scale."""
        reach = kernel.shape[1] // 2
        wide = F.pad(z, (reach, reach, reach, reach), mode="replicate")
        down = F.conv2d(
            wide, kernel[:, None, :, None]
        )  # m 3 h w': derivatives of order 0, 1, 2 along h
        both = [F.conv2d(down[:, i : i + 1], kernel[: 3 - i, None, None, :]) for i in range(3)]
        (blur, across, bent), (along, mixed), (curved,) = (each.split(1, 1) for each in both)
        slope = (along.square() + across.square() + 1e-12).sqrt()
        mean, half = (curved + bent) / 2, (curved - bent) / 2
        spread = (half.square() + mixed.square() + 1e-12).sqrt()
        return torch.cat([blur, slope, curved + bent, mean + spread, mean - spread], 1)


def derivatives(scale: float) -> Float[Tensor, "3 d"]:
    """A Gaussian and its first two derivatives, scale-normalized."""
    reach = max(1, round(3 * scale))
    t = torch.arange(-reach, reach + 1, dtype=torch.float64) / scale
    blur = torch.exp(-(t**2) / 2)
    blur = blur / blur.sum()
    slope, bend = -t * blur, (t**2 - 1) * blur
    return torch.stack([blur, slope, bend - bend.mean()]).float()


@part("encoder", "filters3d")
class Filters3d(Encoder):
    """Voxel intensity, and per scale: blur, gradient magnitude, Laplacian, anisotropy.

    Source: as `Filters`. Anisotropy is the norm of the traceless part of the Hessian, which needs
    no eigenvalues per voxel. Intensities are centered, so that dark and bright differ in sign:
    some learners use only the direction of the feature vector.
    """

    source = "Berg et al. 2019, doi:10.1038/s41592-019-0582-9"
    keeps_grid = True
    dims = 3

    def __init__(
        self,
        *,
        channels: int = 1,
        scales: Sequence[float] = (1.0, 2.0, 4.0),
        scaling: str = "centre",
    ) -> None:
        super().__init__(channels, None, scaling)
        if not scales or min(scales) <= 0:
            raise ConfigError(
                f"scales={list(scales)} must be one or more sizes above 0, in voxels."
            )
        self.scales = tuple(scales)
        self.n_features = channels * (1 + 4 * len(self.scales))
        for i, scale in enumerate(self.scales):
            self.register_buffer(f"kernels_{i}", derivatives(scale))

    def forward(self, x: Float[Tensor, "n c z h w"]) -> Float[Tensor, "n f z h w"]:
        """Features of every voxel of volumes in [0, 1]."""
        z = self.scaled(x)
        kernels = [getattr(self, f"kernels_{i}") for i in range(len(self.scales))]
        found = [_at(z.flatten(0, 1)[:, None], kernel) for kernel in kernels]
        seen = torch.cat([each.unflatten(0, z.shape[:2]).flatten(1, 2) for each in found], 1)
        return torch.cat([z, seen], 1)


def _at(z: Float[Tensor, "m 1 d h w"], kernel: Float[Tensor, "3 r"]) -> Float[Tensor, "m 4 d h w"]:
    """Features of each channel at one scale."""
    d = _derived(F.pad(z, (kernel.shape[1] // 2,) * 6, mode="replicate"), kernel)
    pure, mixed = [d[2, 0, 0], d[0, 2, 0], d[0, 0, 2]], [d[1, 1, 0], d[1, 0, 1], d[0, 1, 1]]
    laplacian = pure[0] + pure[1] + pure[2]
    uneven = _squares(pure) + 2 * _squares(mixed) - laplacian.square() / 3
    slope = _squares([d[1, 0, 0], d[0, 1, 0], d[0, 0, 1]])
    lengths = [(each.clamp(min=0) + 1e-12).sqrt() for each in (slope, uneven)]
    return torch.cat([d[0, 0, 0], lengths[0], laplacian, lengths[1]], 1)


def _derived(wide: Tensor, kernel: Float[Tensor, "3 r"]) -> dict[tuple[int, int, int], Tensor]:
    """Derivatives up to total order 2, keyed by their orders along z, y and x."""
    found = {}
    along_z = F.conv3d(wide, kernel[:, None, :, None, None]).split(1, 1)
    for i, once in enumerate(along_z):
        along_y = F.conv3d(once, kernel[: 3 - i, None, None, :, None]).split(1, 1)
        for j, twice in enumerate(along_y):
            along_x = F.conv3d(twice, kernel[: 3 - i - j, None, None, None, :]).split(1, 1)
            found |= {(i, j, k): each for k, each in enumerate(along_x)}
    return found


def _squares(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([part.square() for part in parts]).sum(0)
