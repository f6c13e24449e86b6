"""Whether two volumes cover the same places voxel for voxel, and if not, how they differ."""

import itertools

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from medshot.data.finding import refusal
from medshot.data.formats.volume import Volume

NEAR = 0.1  # of the smallest spacing: further off, a corner of the grid is elsewhere
SAME = "Export both on one grid, or resample the mask to its image (nearest neighbour)."


def check_same_grid(mask: Volume, image: Volume) -> None:
    """Raise `DataError` if a mask does not lie on the grid of its image; the message says how."""
    how = _difference(mask, image)
    if how:
        raise refusal(mask.source, f"{how}, unlike its image {image.source.name}", SAME).error()


def _difference(mask: Volume, image: Volume) -> str | None:
    near = NEAR * min(image.spacing)
    same = mask.values.shape == image.values.shape
    if same and _apart(mask.affine, image.affine, image) <= near:
        return None
    flip = _flipped(mask, image, near)
    if flip:
        return f"it is flipped: its header has {flip} (LPS taken for RAS?)"
    if not same or not np.allclose(mask.spacing, image.spacing, rtol=0.01):
        return f"it has {_size(mask)} (z, y, x), not {_size(image)}"
    steps = mask.affine[:3, 3] - image.affine[:3, 3]
    if _apart(mask.affine[:, :3], image.affine[:, :3], image) > near:
        return "it is turned by some angle"
    return f"it is shifted by {', '.join(f'{mm:.3g}' for mm in steps)} mm (right, front, head)"


def _size(found: Volume) -> str:
    shape = " x ".join(map(str, found.values.shape))
    return f"{shape} voxels of {' x '.join(f'{mm:.3g}' for mm in found.spacing)} mm"


def _flipped(mask: Volume, image: Volume, near: float) -> str | None:
    """Which signs of the mask's header would have to change for it to lie as the image does."""
    if mask.grid.shape != image.grid.shape:
        return None
    for signs in itertools.product((1, -1), repeat=3):
        turned = np.diag([*signs, 1]) @ mask.grid.affine
        if np.abs(turned - image.grid.affine).max() <= near:
            return " and ".join(f"-{n}" for n, s in zip("xyz", signs, strict=True) if s < 0)
    return None


def _apart(one: Float64[ndarray, "4 n"], other: Float64[ndarray, "4 n"], image: Volume) -> float:
    """The furthest that any corner of the grid is from itself, mm."""
    ends = [(0, n - 1) for n in image.values.shape]
    corners = np.array([(*corner, 1) for corner in itertools.product(*ends)])[:, : one.shape[1]]
    return float(np.linalg.norm(corners @ (one - other).T, axis=1).max())
