"""PNG, JPEG and TIFF, by Pillow and tifffile."""

from pathlib import Path

from jaxtyping import Shaped
from numpy import ndarray

from medshot.data.io import raster
from medshot.data.io.registry import image_reader


def _numbers_of_png(path: Path) -> Shaped[ndarray, "..."]:
    return raster.read_png_or_jpeg(path, palette=True)


def _numbers_of_tiff(path: Path) -> Shaped[ndarray, "..."]:
    return raster.read_tiff(path, palette=True)


@image_reader(".png", name="PNG", magic=raster.PNG, indices=_numbers_of_png)
@image_reader(".jpg", ".jpeg", name="JPEG", magic=raster.JPEG)
def read_png_or_jpeg(path: Path) -> Shaped[ndarray, "..."]:
    """Read the values of a PNG or JPEG, upright."""
    return raster.read_png_or_jpeg(path)


@image_reader(".tif", ".tiff", name="TIFF", magic=raster.TIFF, indices=_numbers_of_tiff)
def read_tiff(path: Path) -> Shaped[ndarray, "..."]:
    """Read the values of the one page of `path` that is no thumbnail, upright."""
    return raster.read_tiff(path)
