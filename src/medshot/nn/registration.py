"""Registration of volumes: an affine map by gradient descent, then demons."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.nn.volume_maps import at_shape, blur, place

STEPS, RATE = 40, 0.02  # of Adam on the affine map
RESTRAINT = 0.1  # penalty of its squared difference from the identity
HALF, FINE = 1.0, 0.5  # voxels: blur before the affine map, and before demons
ITERATIONS = 30
ELASTIC = 1.5  # voxels: blur of the displacement after each iteration
SMALL = 1e-6


def registered(
    fixed: Float[Tensor, "z h w"], moving: Float[Tensor, "i j k"]
) -> Float[Tensor, "z h w 3"]:
    """Where in `moving` each voxel of `fixed` is: x, y, z from -1 to 1, as `warped` takes them.

    Intensities are standardized volumes of any two shapes; the corners are at the same place to
    begin with. Source: demons with symmetric forces, Thirion 1998,
    doi:10.1016/S1361-8415(98)80022-4, and Vercauteren et al. 2009,
    doi:10.1016/j.neuroimage.2008.10.040 (the forces; displacements are added).
    """
    theta = _affine(fixed, moving)
    start = _moved(fixed, theta)
    target, source = blur(fixed[None], [FINE] * 3)[0], blur(moving[None], [FINE] * 3)[0]
    source = warped(source[None], start)[0]
    # voxels of `fixed`, z, y, x; the affine map is taken after it
    shift = torch.zeros(3, *fixed.shape).to(fixed)
    slope = _slopes(target)
    for _ in range(ITERATIONS):
        seen = warped(source[None], _shifted(fixed, shift))[0]
        off, force = target - seen, (slope + _slopes(seen)) / 2
        shift = shift + off * force / (force.square().sum(0) + off.square() + SMALL)
        shift = blur(shift, [ELASTIC] * 3)
    there = warped(start.movedim(-1, 0), _shifted(fixed, shift))
    return there.movedim(0, -1)


def warped(
    values: Float[Tensor, "c z h w"], grid: Float[Tensor, "i j k 3"]
) -> Float[Tensor, "c i j k"]:
    """Values at the places of `grid`; those outside are as at the border."""
    return F.grid_sample(values[None], grid[None], padding_mode="border", align_corners=True)[0]


def _affine(fixed: Tensor, moving: Tensor) -> Float[Tensor, "3 4"]:
    """The affine map with the least mean squared difference, at half the resolution."""
    small, source = (
        at_shape(blur(z[None], [HALF] * 3), _halved(z.shape))[0] for z in (fixed, moving)
    )
    identity = torch.eye(3, 4).to(fixed)
    with torch.enable_grad():
        change = torch.zeros_like(identity).requires_grad_()
        optimizer = torch.optim.Adam([change], lr=RATE)
        for _ in range(STEPS):
            optimizer.zero_grad()
            seen = warped(source[None], _moved(small, identity + change))[0]
            loss = (small - seen).square().mean() + RESTRAINT * change.square().sum()
            loss.backward()
            optimizer.step()
    return identity + change.detach()


def _halved(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(max(1, side // 2) for side in shape)


def _moved(like: Float[Tensor, "z h w"], theta: Float[Tensor, "3 4"]) -> Float[Tensor, "z h w 3"]:
    """The grid of `like`, moved by an affine map of x, y, z."""
    return place(like)[:3].movedim(0, -1).flip(-1) @ theta[:, :3].T + theta[:, 3]


def _shifted(like: Float[Tensor, "z h w"], shift: Tensor) -> Float[Tensor, "z h w 3"]:
    """The grid of `like`, moved by as many voxels."""
    sides = torch.tensor([2 / max(1, side - 1) for side in like.shape]).to(like)
    return (place(like)[:3] + sides[:, None, None, None] * shift).movedim(0, -1).flip(-1)


def _slopes(z: Float[Tensor, "z h w"]) -> Float[Tensor, "3 z h w"]:
    """Central differences along z, y and x; 0 along an axis of one voxel."""
    found = [
        torch.gradient(z, dim=axis)[0] if z.shape[axis] > 1 else torch.zeros_like(z)
        for axis in range(3)
    ]
    return torch.stack(found)
