"""Registration of volumes: an affine map, then a smooth displacement, by gradient descent."""

from collections.abc import Sequence
from itertools import combinations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.nn.volume_maps import at_shape, blur, place

APART, PATCH = 2, 3  # voxels: distance of the patches that are compared, and their side
SIX = ((0, 1, 1), (1, 1, 0), (1, 0, 1), (1, 1, 2), (2, 1, 1), (1, 2, 1))  # z, y, x of them
EDGE = 2  # squared distance of two that are compared
FINE = 0.5  # voxels: blur of intensity
STEPS, RATE, RESTRAINT = 25, 0.03, 1.0  # of Adam on the affine map, and its squared size
ITERATIONS, MOVE = 40, 0.7  # of Adam on the displacement, and its rate in voxels of half resolution
BEND = 0.3  # penalty of the displacement's squared slopes
SMOOTH = 3  # blurs of the displacement, each over three voxels
NARROW = 1e-3  # range of the local variance, relative to its mean
SMALL = 1e-6


def registered(
    fixed: Float[Tensor, "z h w"], moving: Float[Tensor, "i j k"]
) -> Float[Tensor, "z h w 3"]:
    """Where in `moving` each voxel of `fixed` is: x, y, z from -1 to 1, as `warped` takes them.

    Intensities are standardized volumes of any two shapes; the corners are at the same place to
    begin with. The squared difference of `descriptors` is made small at half the resolution. Source
    of the displacement's descent by Adam with averaging: Siebert, Hansen & Heinrich 2021,
    arXiv:2112.03053 (without its discrete search).
    """
    target, source = descriptors(fixed), descriptors(moving)
    near = at_shape(target, _halved(fixed.shape))
    theta = _affine(near, at_shape(source, _halved(moving.shape)))
    seen = at_shape(warped(source, _moved(fixed, theta)), near.shape[1:])
    shift = _displacement(near, seen)
    shift = F.interpolate(shift[None], tuple(fixed.shape), mode="trilinear", align_corners=True)[0]
    grid = (place(fixed)[:3] + shift).movedim(0, -1).flip(-1)
    return grid @ theta[:, :3].T + theta[:, 3]


def descriptors(z: Float[Tensor, "z h w"]) -> Float[Tensor, "13 z h w"]:
    """Self-similarity context and blurred intensity, of a standardized volume.

    The first twelve are high where two patches beside a voxel are alike, whatever their brightness.
    Source: Heinrich et al. 2013, MICCAI, doi:10.1007/978-3-642-40811-3_24.
    """
    wide = F.pad(z[None, None], [APART] * 6, mode="replicate")[0, 0]

    def beside(offset: Sequence[int]) -> Tensor:
        a, b, c = (APART * step for step in offset)
        return wide[a : a + z.shape[0], b : b + z.shape[1], c : c + z.shape[2]]

    pairs = [
        (p, q)
        for p, q in combinations(SIX, 2)
        if sum((a - b) ** 2 for a, b in zip(p, q, strict=True)) == EDGE
    ]
    apart = torch.stack([(beside(p) - beside(q)).square() for p, q in pairs])
    apart = F.pad(apart[None], [PATCH // 2] * 6, mode="replicate")
    apart = F.avg_pool3d(apart, PATCH, 1)[0]
    apart = apart - apart.amin(0)
    local = apart.mean(0)
    usual = local.mean().clamp(min=SMALL)
    alike = torch.exp(-apart / local.clamp(NARROW * usual, usual / NARROW))
    return torch.cat([alike, blur(z[None], [FINE] * 3)])


def warped(
    values: Float[Tensor, "c z h w"], grid: Float[Tensor, "i j k 3"]
) -> Float[Tensor, "c i j k"]:
    """Values at the places of `grid`; those outside are as at the border."""
    return F.grid_sample(values[None], grid[None], padding_mode="border", align_corners=True)[0]


def _affine(
    fixed: Float[Tensor, "c z h w"], moving: Float[Tensor, "c i j k"]
) -> Float[Tensor, "3 4"]:
    """The affine map with the least squared difference, near the identity."""
    identity = torch.eye(3, 4).to(fixed)
    with torch.enable_grad():
        change = torch.zeros_like(identity).requires_grad_()
        optimizer = torch.optim.Adam([change], lr=RATE)
        for _ in range(STEPS):
            optimizer.zero_grad()
            seen = warped(moving, _moved(fixed[0], identity + change))
            loss = (fixed - seen).square().sum(0).mean() + RESTRAINT * change.square().sum()
            loss.backward()
            optimizer.step()
    return identity + change.detach()


def _displacement(
    fixed: Float[Tensor, "c z h w"], moving: Float[Tensor, "c z h w"]
) -> Float[Tensor, "3 z h w"]:
    """Along z, y and x, in half sides of the volume."""
    shape = fixed.shape[1:]
    sides = torch.tensor([2 / max(1, side - 1) for side in shape]).to(fixed)[:, None, None, None]
    start = place(fixed[0])[:3]
    with torch.enable_grad():
        rough = torch.zeros(3, *shape).to(fixed).requires_grad_()
        optimizer = torch.optim.Adam([rough], lr=MOVE)
        for _ in range(ITERATIONS):
            optimizer.zero_grad()
            moves = _smoothed(rough)
            seen = warped(moving, (start + sides * moves).movedim(0, -1).flip(-1))
            loss = (seen - fixed).square().sum(0).mean()
            for axis in (1, 2, 3):
                if shape[axis - 1] > 1:
                    loss = loss + BEND * moves.diff(dim=axis).square().mean()
            loss.backward()
            optimizer.step()
    return sides * _smoothed(rough.detach())


def _smoothed(moves: Float[Tensor, "3 z h w"]) -> Float[Tensor, "3 z h w"]:
    for _ in range(SMOOTH):
        moves = F.avg_pool3d(F.pad(moves[None], [1] * 6, mode="replicate"), 3, 1)[0]
    return moves


def _halved(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(max(1, round(side / 2)) for side in shape)


def _moved(like: Float[Tensor, "z h w"], theta: Float[Tensor, "3 4"]) -> Float[Tensor, "z h w 3"]:
    """The grid of `like`, moved by an affine map of x, y, z."""
    return place(like)[:3].movedim(0, -1).flip(-1) @ theta[:, :3].T + theta[:, 3]
