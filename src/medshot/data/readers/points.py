"""Reader of folders with points: centers of objects, whose size is stated or estimated."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.core import ConfigError
from medshot.data.checks.issue import Issue
from medshot.data.dataset import Dataset
from medshot.data.io.image import read_image
from medshot.data.layouts.content import POINTS as POINTED
from medshot.data.readers.detection import Marks, check_marks, has_marks, marked
from medshot.data.readers.registry import reads
from medshot.data.tables.boxes import POINT_COLUMNS, POINTS, centers
from medshot.nn.encoders.filters import derivatives
from medshot.tasks import Points
from medshot.tasks.boxes import NO_BOX

POINT_MARKS = Marks("points", POINTED, POINTS, POINT_COLUMNS, centers)
LONG = 384  # pixels of the longest side at which sizes are estimated
SCALES = [1.5 * 1.25**i for i in range(16)]  # standard deviations in pixels at that size
LEAST = 4.0  # pixels of the file of an object at least
MOST = 25  # images that a size is estimated from

_SIZE: ContextVar[float | None] = ContextVar("point_size", default=None)


@contextmanager
def size_at_points(pixels: float | None) -> Iterator[None]:
    """Context manager: objects marked by points are `pixels` wide; None: estimated.

    Raises:
        ConfigError: a size below 1.
    """
    if pixels is not None and not pixels >= 1:
        raise ConfigError(
            f"The size of objects at points is {pixels}, but it is a number of pixels from 1 on."
        )
    token = _SIZE.set(_SIZE.get() if pixels is None else pixels)
    try:
        yield
    finally:
        _SIZE.reset(token)


def has_points(folder: Path) -> bool:
    """Whether there are points of another tool, or a points.csv and no other target."""
    return has_marks(folder, POINTS, POINTED)


def check_points(folder: Path) -> list[Issue]:
    """Errors and warnings of a folder with points."""
    return check_marks(folder, pointed, POINT_MARKS)


@reads(Points.kind, where=has_points, check=check_points, target=POINTED)
def pointed(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the images of `folder` with their points; default 3 x 128 x 128."""
    found = marked(folder, channels, size, POINT_MARKS)
    given = _SIZE.get()
    across = estimated_size([row.path for row in found.rows], found.y) if given is None else given
    said = "as --point-size says" if given else "as estimated; --point-size says another"
    note = (
        f"Points: an object is taken to be {across:.3g} pixels across ({said}), and one is found "
        f"if a detection is within {across / 2:.3g} pixels of its point."
    )
    y = found.y.clone()
    half = across / 2 * found.y[..., 2:4]
    y[..., :4] = torch.cat([found.y[..., :2] - half, found.y[..., :2] + half], -1)
    y[..., :4] = y[..., :4].where(found.y[..., 4:] != NO_BOX, NO_BOX)
    task = Points(found.task.n_outputs)
    return replace(found, y=y, task=task, notes=(*found.notes, note))


def estimated_size(paths: Sequence[Path], y: Float[Tensor, "n m 5"]) -> float:
    """Diameter in pixels of the files of the objects at points; the median over images.

    It is 2 sqrt(2) times the scale at which the scale-normalized Laplacian, averaged over an
    image's points, is furthest from 0 (Lindeberg 1998, Int. J. Comput. Vis. 30, 79-116), and not
    above the median distance of a point to the next. Columns of `y` are x, y, and the size of a
    pixel as fractions.
    """
    found, apart = [], []
    shown = [i for i in range(len(y)) if (y[i, :, 4] != NO_BOX).any()][:MOST]
    for i in shown:
        own = y[i][y[i, :, 4] != NO_BOX]
        pixels = torch.from_numpy(np.ascontiguousarray(read_image(paths[i])).astype(np.float32))
        gray, (height, width) = pixels.mean(2)[None, None], pixels.shape[:2]
        shrink = min(LONG / max(height, width), 1.0)
        small = F.interpolate(
            gray, (max(1, round(height * shrink)), max(1, round(width * shrink))), mode="area"
        )
        found.append(2 * 2**0.5 * _scale(small, own[:, :2]) / shrink)
        if len(own) > 1:
            places = own[:, :2] * own.new_tensor([width, height])
            away = torch.cdist(places, places)
            away.fill_diagonal_(float("inf"))
            apart.append(float(away.amin(1).median()))
    across = float(np.median(found))
    return max(min([across, *([float(np.median(apart))] if apart else [])]), LEAST)


def _scale(image: Float[Tensor, "1 1 h w"], at: Float[Tensor, "m 2"]) -> float:
    """Scale in pixels of the extremal mean Laplacian at points."""
    strength = []
    for scale in SCALES:
        kernel = derivatives(scale)
        reach = kernel.shape[1] // 2
        wide = F.pad(image, (reach,) * 4, mode="replicate")
        once = F.conv2d(wide, kernel[[0, 2]][:, None, :, None])
        bend = F.conv2d(once[:, :1], kernel[2][None, None, None]) + F.conv2d(
            once[:, 1:], kernel[0][None, None, None]
        )
        read = F.grid_sample(bend, 2 * at[None, None] - 1, align_corners=False)
        strength.append(float(read.mean().abs()))
    return SCALES[int(np.argmax(strength))]
