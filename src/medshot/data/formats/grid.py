"""Where the voxels of a file lie in the patient, and how they are turned to lie as all others do.

In memory every volume is values[z, y, x] with z growing to the head, y to the back and x to the
patient's left: an axial slice lies as on a radiologist's screen, and an axial DICOM series is not
turned at all. Axes are only swapped and flipped, so no voxel changes and the way back is exact.
Places are millimetres in RAS, as in NIfTI: x to the right, y to the front, z to the head.
"""

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
from jaxtyping import Float64, Shaped
from numpy import ndarray

DIRECTIONS = ("S", "P", "L")  # to which z, y and x grow in memory
NEAREST, FURTHEST = 1e-3, 100.0  # mm between voxels that can be meant
SKEW = 0.01  # cosine between two axes that still counts as a right angle


@dataclass(frozen=True, eq=False)
class Grid:
    """The shape of a file as it is stored, and its affine: index (i, j, k, 1) to mm."""

    shape: tuple[int, int, int]
    affine: Float64[ndarray, "4 4"]

    def turn(self, stored: Shaped[ndarray, "i j k"]) -> Shaped[ndarray, "z h w"]:
        """Values as they are stored, in the order of memory; a view where that is possible."""
        return _orientations().apply_orientation(stored, self._turn)

    def turn_back(self, values: Shaped[ndarray, "z h w"]) -> Shaped[ndarray, "i j k"]:
        """The inverse of `turn`."""
        back = _orientations().ornt_transform(_memory(), self._stored)
        return _orientations().apply_orientation(values, back)

    @cached_property
    def turned(self) -> Float64[ndarray, "4 4"]:
        """The affine in memory: index (z, y, x, 1) to mm."""
        return self.affine @ _orientations().inv_ornt_aff(self._turn, self.shape)

    @cached_property
    def _stored(self) -> ndarray:
        return _orientations().io_orientation(self.affine)

    @cached_property
    def _turn(self) -> ndarray:
        return _orientations().ornt_transform(self._stored, _memory())


def spacing_of(affine: Float64[ndarray, "4 4"]) -> tuple[float, float, float]:
    """Millimetres between voxels along each axis of an affine."""
    from nibabel import affines  # noqa: PLC0415  (slow to import, and few read volumes)

    first, second, third = affines.voxel_sizes(affine).tolist()
    return first, second, third


def flaw(affine: Float64[ndarray, "4 4"]) -> str | None:
    """What keeps an affine from being used, if anything does."""
    if not np.isfinite(affine).all():
        return "its orientation holds numbers that are not finite"
    spacing = spacing_of(affine)
    if not all(NEAREST <= mm <= FURTHEST for mm in spacing):
        shown = " x ".join(f"{mm:g}" for mm in spacing)
        return f"its voxels are {shown} mm apart, which cannot be: the spacing is missing or wrong"
    axes = affine[:3, :3] / spacing
    cosine = np.abs(axes.T @ axes - np.eye(3)).max()
    if cosine > SKEW:
        degrees = np.degrees(np.arcsin(min(cosine, 1.0)))
        return f"its axes are {degrees:.1f} degrees off a right angle (a tilted gantry?)"
    return None


def _memory() -> ndarray:
    return _orientations().axcodes2ornt(DIRECTIONS)


def _orientations() -> ModuleType:
    from nibabel import orientations  # noqa: PLC0415  (slow to import, and few read volumes)

    return orientations
