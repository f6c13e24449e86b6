"""Features of voxels: Gaussian derivatives, place in the volume, and scores of the neighborhood."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import part
from medshot.nn.encoders.filters import derivatives

SCALES = (1.0, 2.0, 4.0)  # of the filters, in the smallest side of a working voxel
NARROW = 0.4  # voxels at least: a narrower Gaussian is one voxel
ORDER = 2  # of the derivatives of intensity
N_PLACE = 9  # features of `place`
STEP = 1.1  # factor between the voxel sizes in turn
FLAT = 1e-3  # standard deviation of intensity below which a volume is constant
FILM = 4  # dimensions of a batch of images n c h w


@part("module", "volume-maps")
class VolumeMaps(nn.Module):
    """Standardized intensity, its derivatives up to order two at each of `SCALES`, and place.

    Derivatives of a Gaussian are normalized by their scale to the power of their order (Lindeberg
    1998, Int. J. Comput. Vis. 30, 79-116). `voxel` is the size of a voxel along z, y and x; scales
    are multiples of its smallest side, so that they are equal in mm along all axes.
    """

    def __init__(self, voxel: Sequence[float]) -> None:
        super().__init__()
        self.voxel = tuple(voxel)

    def forward(self, x: Float[Tensor, "z h w"]) -> Float[Tensor, "f z h w"]:
        """Features of every voxel of one volume."""
        z = standardized(x)[None]
        return torch.cat([z, self.derived(z, ORDER), place(x)])

    def context(self, scores: Float[Tensor, "k z h w"]) -> Float[Tensor, "g z h w"]:
        """Probabilities of the classes but the first, and their slopes at each scale."""
        found = scores.softmax(0)[1:]
        return torch.cat([found, self.derived(found, 1)])

    def derived(self, z: Float[Tensor, "c z h w"], order: int) -> Float[Tensor, "g z h w"]:
        """Gaussian derivatives of each channel up to a total order, at each scale."""
        least = min(self.voxel)
        return torch.cat(
            [
                _derived(z, [max(NARROW, scale * least / side) for side in self.voxel], order)
                for scale in SCALES
            ]
        )


def standardized(x: Float[Tensor, "z h w"]) -> Float[Tensor, "z h w"]:
    """Mean 0 and standard deviation 1; a constant volume is 0."""
    return (x - x.mean()) / x.std(correction=0).clamp(min=FLAT)


def place(like: Float[Tensor, "z h w"]) -> Float[Tensor, "9 z h w"]:
    """Coordinates from -1 to 1 along z, y and x, and their products."""
    axes = [torch.linspace(-1, 1, n).to(like) if n > 1 else like.new_zeros(1) for n in like.shape]
    z, y, x = torch.meshgrid(axes, indexing="ij")
    return torch.stack([z, y, x, z * z, y * y, x * x, z * y, z * x, y * x])


def _derived(
    z: Float[Tensor, "c z h w"], sigma: Sequence[float], order: int
) -> Float[Tensor, "g z h w"]:
    """Derivatives of a separable Gaussian of `sigma` voxels along the three axes."""
    found = {(): z[:, None]}
    for axis, scale in enumerate(sigma):
        kernel = derivatives(scale)[: order + 1].to(z)
        shape = [1, 1, 1]
        shape[axis] = kernel.shape[1]
        pad = [0, 0, 0, 0, 0, 0]
        pad[4 - 2 * axis] = pad[5 - 2 * axis] = kernel.shape[1] // 2
        after = {}
        for done, each in found.items():
            rest = order + 1 - sum(done)
            once = F.conv3d(F.pad(each, pad, mode="replicate"), kernel[:rest].view(rest, 1, *shape))
            after |= {(*done, i): once[:, i : i + 1] for i in range(rest)}
        found = after
    return torch.cat([each[:, 0] for each in found.values()])


def blur(z: Float[Tensor, "c z h w"], sigma: Sequence[float]) -> Float[Tensor, "c z h w"]:
    """Gaussian blur of `sigma` voxels along z, y and x; the border is replicated."""
    return _derived(z, sigma, 0)


def volumes_of(x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n z h w"]:
    """Volumes of one channel, finite; an image is a volume of one slice."""
    gray = torch.nan_to_num(x.mean(1), nan=0.0, posinf=1.0, neginf=0.0)
    return gray[:, None] if x.ndim == FILM else gray


def filled_box(x: Float[Tensor, "z h w"]) -> tuple[slice, slice, slice]:
    """The smallest box that holds all that is not black: volumes are padded with black.

    The whole volume, if all of it is black.
    """
    box = []
    for axis in range(3):
        there = (x != 0).movedim(axis, 0).flatten(1).any(1).nonzero()
        box.append(slice(int(there[0]), int(there[-1]) + 1) if len(there) else slice(None))
    z, y, w = box
    return z, y, w


def uncropped(
    found: Float[Tensor, "k z h w"],
    box: tuple[slice, slice, slice],
    shape: Sequence[int],
    background: float,
) -> Float[Tensor, "k i j l"]:
    """Scores in a volume of `shape` of what was found in `box`: `background` outside of it.

    Those of the first class are `background` there, those of the others 0.
    """
    inside = [len(range(n)[part]) for n, part in zip(shape, box, strict=True)]
    whole = found.new_zeros(len(found), *shape)
    whole[0] = background
    whole[(slice(None), *box)] = at_shape(found, inside)
    return whole


def working_voxel(
    volumes: Float[Tensor, "n z h w"], spacing: Sequence[float], most: int
) -> tuple[tuple[float, float, float], list[int]]:
    """Size of a working voxel (see `coarsened`), and the largest sides of what is filled."""
    shapes = [list(volume[filled_box(volume)].shape) for volume in volumes]
    largest = torch.tensor(shapes).amax(0).tolist()
    return coarsened(largest, spacing, most), largest


def coarsened(
    shape: Sequence[int], voxel: Sequence[float], most: int
) -> tuple[float, float, float]:
    """Size of the voxels at which a volume of `shape` has at most `most` of them.

    The finest axes are coarsened first, until the voxel is a cube.
    """
    least, (z, y, x) = min(voxel), voxel
    found = (z, y, x)
    while torch.tensor(resized(shape, voxel, found)).prod() > most:
        least *= STEP
        found = (max(z, least), max(y, least), max(x, least))
    return found


def resized(
    shape: Sequence[int], voxel: Sequence[float], working: Sequence[float]
) -> tuple[int, int, int]:
    """Sides, in voxels of size `working`, of a volume of `shape` voxels of size `voxel`."""
    z, y, x = (
        max(1, round(n * mm / wanted)) for n, mm, wanted in zip(shape, voxel, working, strict=True)
    )
    return z, y, x


def at_shape(z: Float[Tensor, "c z h w"], shape: Sequence[int]) -> Float[Tensor, "c i j k"]:
    """Averaged down, or interpolated up."""
    if tuple(z.shape[1:]) == tuple(shape):
        return z
    if all(new <= old for new, old in zip(shape, z.shape[1:], strict=True)):
        return F.adaptive_avg_pool3d(z[None], (shape[0], shape[1], shape[2]))[0]
    return F.interpolate(z[None], tuple(shape), mode="trilinear")[0]
