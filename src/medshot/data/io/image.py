"""Image and mask files of any format: pixels windowed to 8 bits, class numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Integer, Shaped, UInt8, UInt16
from numpy import ndarray
from PIL import Image

from medshot.core import DataError
from medshot.data.checks.issue import refusal
from medshot.data.io.pixels import UnreadableError, checked, filled, reason, windowed
from medshot.data.io.raster import ORIENTATION, TURNS
from medshot.data.io.registry import (
    IMAGES,
    VOLUMES,
    Format,
    format_in,
    image_format,
    is_dicom,
    volume_suffix,
)

HEADERS = ("PNG", "JPEG", "TIFF")  # only these: some of Pillow's readers start programs
EXCHANGED = (5, 6, 7, 8)  # orientations with height and width exchanged


def read_image(path: Path) -> UInt8[ndarray, "h w c"]:
    """Read the pixels of `path`, 1 or 3 channels, 0 to 255.

    8-bit values are kept. 16-bit and float images are windowed by their own 0.5th and 99.5th
    percentile, because the meaning of their full range depends on the scanner. A DICOM file with
    display settings is converted by them, and its padding counts for no percentile.

    Raises:
        DataError: missing, truncated, not an image, several pages, NaN, or a constant image.
    """
    with refusing(path):
        return windowed(checked(stored(path)))


def decode(path: Path) -> Shaped[ndarray, "h w c"]:
    """Read the values of `path` as `stored`, 1 or 3 channels, finite and not constant.

    Padding of DICOM is as the darkest other value.

    Raises:
        DataError: as `read_image`.
    """
    with refusing(path):
        return filled(checked(stored(path)))


def orientation_mark(path: Path) -> int:
    """Orientation mark of a PNG, JPEG or TIFF, 1 to 8; 1 (upright) without one."""
    try:
        with Image.open(path, formats=HEADERS) as image:
            mark = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged in any way: reported where it is read
        return 1
    return mark if mark in TURNS else 1


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file, upright, from its header where Pillow reads it.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with Image.open(path, formats=HEADERS) as image:
            width, height = image.size
    except Exception:  # DICOM, other kinds of TIFF, damaged files: said by their reader
        shape = np.shape(stored(path))
        return shape[1], shape[0]
    return (height, width) if orientation_mark(path) in EXCHANGED else (width, height)


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn `UnreadableError` into a `DataError` that names the file."""
    try:
        yield
    except UnreadableError as error:
        raise refusal(path, error.what, error.fix).error() from error.__cause__


def stored(path: Path, *, palette: bool = False) -> Shaped[ndarray, "..."]:
    """Read the stored values of `path`, upright; with `palette`, palette indices, not colors.

    The format is that of the content, whatever the name. DICOM is windowed by its header, or else
    its padding is masked.

    Raises:
        DataError: missing, truncated, not an image, several pages.
    """
    known = _format(path)
    with refusing(path):
        try:
            return known.read(path, palette=palette)
        except DataError:
            raise
        except Exception as error:  # libraries raise any exception on damaged bytes
            raise reason(error) from error


def _format(path: Path) -> Format[ndarray]:
    """The format of an image by its content, if its suffix is that of an image."""
    named, suffix = image_format(path), path.suffix.lower()
    if not path.is_file():
        what = "it is a folder, not an image" if path.is_dir() else "it does not exist"
        raise refusal(path, what, "Correct the path, or leave it out of the list.").error()
    if named is None and volume_suffix(path):
        what = "it is a volume, not an image"
        fix = "Read it by medshot.read_volume, or export its slices."
        raise refusal(path, what, fix).error()
    if named is None:
        what = f"files of this kind are not read, {', '.join(IMAGES.all())} are"
        raise refusal(path, what, "Convert it first.").error()
    if not path.stat().st_size:
        what = f"it is empty (0 bytes): no {suffix} image"
        raise refusal(path, what, "Copy or export it again, or leave it out.").error()
    found = format_in(path, IMAGES)
    if found is None and named.magic:
        if volume := format_in(path, VOLUMES):
            what = f"by its content it is a {volume.name} volume, no {suffix} image"
            raise refusal(path, what, "Rename it, and read it as a volume.").error()
        what, fix = f"it is no {suffix} image, despite its name", UnreadableError("").fix
        raise refusal(path, what, fix).error()
    return found or named


MOST_CLASSES = 32
WHITE = (255, 65_535)  # of 8 and 16 bits
NUMBERS = "A mask is grey or has a palette: 0 is background, 1, 2, ... is what is marked."


def read_mask(
    path: Path, *, white: bool = True, unlabeled: int | None = None
) -> UInt8[ndarray, "h w"] | UInt16[ndarray, "h w"]:
    """Read the class numbers in `path`. With `white`, a mask of 0 and 255 only is 0 and 1.

    `unlabeled` is a number that is no class.

    Raises:
        DataError: it cannot be read, or is a picture and not a mask.
    """
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise refusal(path, "it is a JPEG, which changes numbers", NUMBERS + " Take PNG.").error()
    if is_dicom(path):
        raise refusal(path, "it is a DICOM picture, not a mask", NUMBERS + " Take PNG.").error()
    values = _one_channel(stored(path, palette=True), path) // _scale(path)
    if values.dtype.kind not in "bui" or (values < 0).any():
        raise refusal(path, f"its values are of the type {values.dtype}", NUMBERS).error()
    found = np.unique(values)
    found = found[found != unlabeled] if (found != unlabeled).any() else found
    if white and found[-1] in WHITE and set(found[:-1]) <= {0}:
        return (values > 0).astype(np.uint8)
    picture = found[-1] >= MOST_CLASSES and not _are_areas(values, found)
    if len(found) > MOST_CLASSES or picture:
        what = f"it holds {len(found)} values up to {found[-1]}: a picture, not class numbers"
        if found[-1] == len(found) - 1:
            what = (
                f"it holds {len(found)} class numbers (or is a picture); {MOST_CLASSES} are learned"
            )
        raise refusal(path, what, NUMBERS + " JPEG compression or smoothing ruins it.").error()
    return values.astype(np.uint8 if values.max() < 256 else np.uint16)


def fit_mask(
    mask: Integer[ndarray, "h w"], size: int, unlabeled: int | None = None
) -> Integer[ndarray, "s s"]:
    """Resample a mask to a square grid by nearest neighbor, so that no new number appears.

    A pixel of the new grid without a label, `unlabeled`, takes the nearest label within half of its
    side, so that thin scribbles are not lost.
    """
    reach = max(mask.shape) / size / 2
    known = mask != unlabeled
    if unlabeled is not None and reach > 1 / 2 and known.any() and not known.all():
        from scipy.ndimage import distance_transform_edt  # noqa: PLC0415  (slow to import)

        found: tuple[ndarray, ndarray] = distance_transform_edt(~known, return_indices=True)  # type: ignore[assignment]
        distance, (rows, columns) = found
        mask = np.where(distance <= reach, mask[rows, columns], mask)
    return np.asarray(Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST))


def _are_areas(values: Integer[ndarray, "h w"], numbers: Integer[ndarray, "k"]) -> bool:
    """Whether each number fills a square of 2 x 2 pixels, unlike the levels of a smoothed edge."""
    if set(numbers.tolist()) <= {0, *WHITE}:
        return True
    corner = values[:-1, :-1]
    same = (corner == values[1:, :-1]) & (corner == values[:-1, 1:]) & (corner == values[1:, 1:])
    return set(numbers[1:].tolist()) <= set(corner[same].tolist())


def _one_channel(values: Shaped[ndarray, "..."], path: Path) -> Shaped[ndarray, "h w"]:
    if values.ndim == 3 and values.shape[2] in (2, 4):
        if values[:, :, -1].min() < values[:, :, -1].max():
            what = "part of it is transparent, and whether that marks something is not known"
            raise refusal(path, what, NUMBERS).error()
        values = values[:, :, :-1]
    if values.ndim == 3 and (values == values[:, :, :1]).all():
        values = values[:, :, 0]
    if values.ndim != 2:
        raise _coloured(path)
    return values


def _scale(path: Path) -> int:
    """Factor by which Pillow scales the values of a gray PNG of 2 or 4 bits."""
    if path.suffix.lower() != ".png":
        return 1
    with path.open("rb") as file:
        depth, colour = file.read(26)[24:26]
    return {2: 85, 4: 17}.get(depth, 1) if colour == 0 else 1


def _coloured(path: Path) -> DataError:
    what = "it is in colour, and what number a colour stands for is not known"
    return refusal(path, what, NUMBERS).error()
