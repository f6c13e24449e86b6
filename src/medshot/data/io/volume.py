"""Volume: voxels in a canonical orientation, their affine, and the inverse to the file's order.

In memory every volume is values[z, y, x] with z growing to the head, y to the back and x to the
patient's left (SPL): an axial slice is oriented as on a radiologist's screen, and an axial DICOM
series is not reoriented. Axes are only swapped and flipped, so no voxel changes and the inverse is
exact. Coordinates are millimeters in RAS, as in NIfTI: x to the right, y to the front, z to the
head.
"""

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Shaped
from numpy import ndarray

from medshot.data.checks.issue import refusal

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
DIRECTIONS = ("S", "P", "L")  # in which z, y and x grow in memory
NEAREST, FURTHEST = 1e-3, 100.0  # mm: range of plausible voxel spacings
SKEW = 0.01  # cosine between two axes that still counts as a right angle


@dataclass(frozen=True, eq=False)
class Grid:
    """Stored shape of a file, and its affine: index (i, j, k, 1) to mm.

    A NIfTI file may hold a second affine (`other`: the qform, where the sform is taken), which some
    programs go by. Its `header` is written again with a mask.
    """

    shape: tuple[int, int, int]
    affine: Float64[ndarray, "4 4"]
    other: Float64[ndarray, "4 4"] | None = None  # where it differs
    header: Any = None  # of nibabel

    def turn(self, stored: Shaped[ndarray, "i j k"]) -> Shaped[ndarray, "z h w"]:
        """Reorient stored values to the order of memory; a view where that is possible."""
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
    """Why an affine is unusable; None if it is usable."""
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


MOST_BYTES = 2**32  # of one volume, at least four bytes a voxel
SMALLER = "Cut it to the part that is needed, or resample it."
AGAIN = "Export it again from where it is from, or resample it to a plain grid."


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D image: z grows to the head, h (y) to the back, w (x) to the patient's left.

    Values are in the unit of the file (HU for CT) after its own rescaling. Do not write to them: a
    file without rescaling may be memory-mapped.
    """

    values: Shaped[ndarray, "z h w"]
    grid: Grid  # of the file
    source: Path
    window: tuple[float, float] | None = None  # display window of the file
    step: float = 0.0  # between values that the file can hold, where it rescales integers
    padding: Bool[ndarray, "z h w"] | None = None  # voxels outside of what was measured

    @property
    def stored(self) -> Shaped[ndarray, "i j k"]:
        """The values in the order of the file."""
        return self.grid.turn_back(self.values)

    @property
    def affine(self) -> Float64[ndarray, "4 4"]:
        """Index (z, y, x, 1) to millimetres in RAS."""
        return self.grid.turned

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxels along z, y, x."""
        return spacing_of(self.affine)


def volume(
    stored: Shaped[ndarray, "i j k"],
    affine: Float64[ndarray, "4 4"],
    source: Path,
    window: tuple[float, float] | None = None,
    *,
    step: float = 0.0,
    other: Float64[ndarray, "4 4"] | None = None,
    header: Any = None,
) -> Volume:
    """Build a volume from stored values, reoriented to the order of memory.

    Where `stored` is masked, it is padding.

    Raises:
        DataError: the affine is unusable.
    """
    check_affine(affine, source)
    i, j, k = stored.shape
    grid = Grid((i, j, k), affine, other, header)
    mask = np.ma.getmaskarray(stored)
    padding = grid.turn(mask) if mask.any() else None
    return Volume(grid.turn(np.ma.getdata(stored)), grid, source, window, step, padding)


def check_affine(affine: Float64[ndarray, "4 4"], source: Path) -> None:
    """Raise `DataError` where `flaw` finds something."""
    wrong = flaw(affine)
    if wrong:
        raise refusal(source, wrong, AGAIN).error()


def check_size(shape: tuple[int, ...], width: int, source: Path) -> None:
    """Check the header's shape and size before the voxels are read.

    Args:
        shape: of the header.
        width: bytes a voxel.
        source: the file, for the message.

    Raises:
        DataError: not three axes of at least one voxel, or over 4 GiB.
    """
    shown = " x ".join(map(str, shape))
    if len(shape) != 3 or min(shape) < 1:
        what = f"it holds {shown} values: not one volume of three axes"
        fix = "One volume a file: split time points or channels into files of their own."
        raise refusal(source, what, fix).error()
    promised = shape[0] * shape[1] * shape[2] * max(width, 4)
    if promised > MOST_BYTES:
        gib = promised / 2**30
        raise refusal(source, f"it promises {shown} voxels, {gib:.1f} GiB", SMALLER).error()


NEAR = 0.1  # of the smallest spacing: tolerance for corners of equal grids
SAME = "Export both on one grid, or resample the mask to its image (nearest neighbour)."


def by_one_affine(mask: Volume, image: Volume) -> Volume:
    """The mask with the affine of its image, where only the other affine of a file fits.

    A NIfTI image with a qform and a sform that differ is read by its sform here and by its qform in
    ITK, so that a mask from there has the qform alone.
    """
    shape, near = image.grid.shape, NEAR * min(image.spacing)
    if mask.grid.shape != shape or apart(mask.grid.affine, image.grid.affine, shape) <= near:
        return mask
    pairs = (mask.grid.affine, image.grid.other), (mask.grid.other, image.grid.affine)
    if any(o is not None and apart(one, o, shape) <= near for one, o in pairs if one is not None):
        return replace(mask, values=image.grid.turn(mask.stored), grid=image.grid)
    return mask


def check_same_grid(mask: Volume, image: Volume) -> None:
    """Raise `DataError` if the grids of a mask and its image differ; the message says how."""
    how = _difference(mask, image)
    if how:
        raise refusal(mask.source, f"{how}, unlike its image {image.source.name}", SAME).error()


def _difference(mask: Volume, image: Volume) -> str | None:
    near = NEAR * min(image.spacing)
    same = mask.values.shape == image.values.shape
    if same and apart(mask.affine, image.affine, image.values.shape) <= near:
        return None
    flip = _flipped(mask, image, near)
    if flip:
        return f"it is flipped: its header has {flip} (LPS taken for RAS?)"
    if not same or not np.allclose(mask.spacing, image.spacing, rtol=0.01):
        return f"it has {_size(mask)} (z, y, x), not {_size(image)}"
    steps = mask.affine[:3, 3] - image.affine[:3, 3]
    if apart(mask.affine[:, :3], image.affine[:, :3], image.values.shape) > near:
        return "it is turned by some angle"
    return f"it is shifted by {', '.join(f'{mm:.3g}' for mm in steps)} mm (right, front, head)"


def _size(found: Volume) -> str:
    shape = " x ".join(map(str, found.values.shape))
    return f"{shape} voxels of {' x '.join(f'{mm:.3g}' for mm in found.spacing)} mm"


def _flipped(mask: Volume, image: Volume, near: float) -> str | None:
    """Which signs in the mask's header would have to change to match the image."""
    if mask.grid.shape != image.grid.shape:
        return None
    for signs in itertools.product((1, -1), repeat=3):
        turned = np.diag([*signs, 1]) @ mask.grid.affine
        if np.abs(turned - image.grid.affine).max() <= near:
            return " and ".join(f"-{n}" for n, s in zip("xyz", signs, strict=True) if s < 0)
    return None


def apart(
    one: Float64[ndarray, "4 n"], other: Float64[ndarray, "4 n"], shape: tuple[int, ...]
) -> float:
    """Largest distance between corresponding corners of two grids of `shape`, in mm."""
    ends = [(0, n - 1) for n in shape]
    corners = np.array([(*corner, 1) for corner in itertools.product(*ends)])[:, : one.shape[1]]
    return float(np.linalg.norm(corners @ (one - other).T, axis=1).max())
