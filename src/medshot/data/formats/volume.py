"""A volume in memory: values, where they lie, and the way back to the file."""

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float64, Shaped
from numpy import ndarray

from medshot.data.finding import refusal
from medshot.data.formats.grid import Grid, flaw, spacing_of

MOST_BYTES = 2**32  # of one volume, four bytes a voxel at least
SMALLER = "Cut it to the part that is needed, or resample it."
AGAIN = "Export it again from where it is from, or resample it to a plain grid."


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D image: z grows to the head, h (y) to the back, w (x) to the patient's left.

    Values are in the unit of the file (HU for CT) after its own rescaling. They are read-only in
    spirit: a file that has no rescaling may be mapped into memory.
    """

    values: Shaped[ndarray, "z h w"]
    grid: Grid  # as the file has it
    source: Path
    window: tuple[float, float] | None = None  # what the file wants to be black and white

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
) -> Volume:
    """Values as a file has them, turned as in memory.

    Raises:
        DataError: the affine cannot be used.
    """
    check_affine(affine, source)
    i, j, k = stored.shape
    grid = Grid((i, j, k), affine)
    return Volume(grid.turn(stored), grid, source, window)


def check_affine(affine: Float64[ndarray, "4 4"], source: Path) -> None:
    """Raise `DataError` where `flaw` finds something."""
    wrong = flaw(affine)
    if wrong:
        raise refusal(source, wrong, AGAIN).error()


def check_size(shape: tuple[int, ...], width: int, source: Path) -> None:
    """Refuse, before it is read, what cannot be one volume or promises too many bytes.

    Args:
        shape: what the header says.
        width: bytes a voxel.
        source: the file, for the message.

    Raises:
        DataError: not three axes of one voxel at least, or over 4 GiB.
    """
    shown = " x ".join(map(str, shape))
    if len(shape) != 3 or min(shape) < 1:
        what = f"it holds {shown} values: not one volume of three axes"
        mend = "One volume a file: split time points or channels into files of their own."
        raise refusal(source, what, mend).error()
    promised = shape[0] * shape[1] * shape[2] * max(width, 4)
    if promised > MOST_BYTES:
        gib = promised / 2**30
        raise refusal(source, f"it promises {shown} voxels, {gib:.1f} GiB", SMALLER).error()
