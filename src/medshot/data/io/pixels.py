"""Image values to what networks take: checks, windowing to 8 bits, channels and size.

This module, `raster` and `dicom.picture` need numpy, Pillow, tifffile and pydicom only, and no part
of medshot but each other: `medshot export` copies their text into its script, so that a machine
without medshot computes the same pixels.
"""

import re
import struct
import zlib

import numpy as np
from numpy import ndarray
from PIL import Image

WINDOW = (0.5, 99.5)  # percentiles that become 0 and 255 in images of over 8 bits
FIX = "Open it in a viewer, and export it again or leave it out."
ONE = "A file must hold one image: export each one separately."
AS_PNG = "Save it as PNG or uncompressed TIFF."


class UnreadableError(Exception):
    """Why the pixels of a file are not read (a clause), and the way out (a sentence)."""

    def __init__(self, what: str, fix: str = FIX) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix

    def __str__(self) -> str:
        return f"{self.what}. {self.fix}"


def negative(pixels: ndarray) -> ndarray:
    """Invert gray values in the range of the dtype (of the image, for floats)."""
    return pixels.max() + pixels.min() - pixels if pixels.dtype.kind == "f" else ~pixels


def checked(pixels: ndarray) -> ndarray:
    """Decoded values as `h w c`, 1 or 3 channels, finite and not constant; padding is masked.

    Raises:
        UnreadableError: they are not such an image.
    """
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        shape = " x ".join(map(str, pixels.shape))
        raise UnreadableError(f"it holds {shape} values: not one grey or colour image", ONE)
    pixels = pixels[:, :, : 1 if pixels.shape[2] < 3 else 3]  # without an alpha channel
    if pixels.dtype.kind not in "buif":
        raise UnreadableError(f"its values are of the type {pixels.dtype}")
    seen = measured(pixels)
    if not np.isfinite(seen).all():
        raise UnreadableError("it holds values that are not finite (NaN or infinity)")
    if not seen.size or seen.min() == seen.max():
        raise UnreadableError("it has the same value everywhere: there is nothing on it")
    return pixels


def measured(pixels: ndarray) -> ndarray:
    """The values without padding, which is masked."""
    return pixels.compressed() if isinstance(pixels, np.ma.MaskedArray) else pixels


def filled(pixels: ndarray) -> ndarray:
    """The values with padding as the darkest of the others."""
    return pixels.filled(pixels.min()) if isinstance(pixels, np.ma.MaskedArray) else pixels


def window_of(pixels: ndarray) -> tuple[float, float]:
    """The values that become black and white; the full range for an 8-bit image."""
    if pixels.dtype == bool:
        return 0.0, 1.0
    if pixels.dtype == np.uint8:
        return 0.0, 255.0
    values = measured(pixels).astype(np.float64)
    low, high = np.percentile(values, WINDOW)
    if low == high:  # all but a few pixels are equal: keep those few
        low, high = values.min(), values.max()
    return float(low), float(high)


def windowed(pixels: ndarray) -> ndarray:
    """Window checked values to 8 bits, `h w c`."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    if pixels.dtype == np.uint8:
        return filled(pixels)
    low, high = window_of(pixels)
    values = filled(pixels).astype(np.float64)
    return (255 * ((values - low) / (high - low)).clip(0, 1)).round().astype(np.uint8)


def squared(pixels: ndarray, channels: int, size: int, resize: str) -> ndarray:
    """Convert 8-bit values to 1 or 3 channels and resize them to a square, `c s s`."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling[resize.upper()])
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


DAMAGE = re.compile(
    r"truncat|broken|corrupt|checksum|CRC|unrecognized data stream|failed to read|cut off|"
    r"decoder error|invalid (block|code|distance|literal|stored)|incorrect (data|header)|premature",
    re.IGNORECASE,
)


def reason(error: Exception) -> UnreadableError:
    """Why a library failed on a file: damaged only where the error says so."""
    if isinstance(error, UnreadableError):
        return error
    if isinstance(error, MemoryError | Image.DecompressionBombError | Warning):
        return UnreadableError(f"it promises too many pixels ({error})")
    if isinstance(error, OSError) and error.strerror:
        return UnreadableError(f"it cannot be opened ({error.strerror})", "Check its permissions.")
    if isinstance(error, EOFError | struct.error | zlib.error) or DAMAGE.search(str(error)):
        return UnreadableError(f"it is damaged or truncated ({error})")
    name = type(error).__name__
    return UnreadableError(
        f"it cannot be decoded: its kind is not supported ({name}: {error})", AS_PNG
    )
