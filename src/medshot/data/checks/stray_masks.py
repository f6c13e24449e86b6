"""Masks among images, by their names and their values."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from medshot.core import DataError
from medshot.data.io.image import MOST_CLASSES, stored
from medshot.data.io.registry import volume_suffix

WORDS = (
    "mask|masks|seg|segs|segm|segmentation|segmentations|label|labels|gt|groundtruth|ground_truth|"
    "annotation|annotations|roi|manual1|1stHO"
)
ENDING = re.compile(rf"^(?P<base>.*?)[ _.\-]+(?:{WORDS})(?:[ _.\-]?\d+)?$", re.I)
BEGINNING = re.compile(rf"^(?:{WORDS})[ _.\-]+(?P<base>.+)$", re.I)
JPEG = (".jpg", ".jpeg")
PACKED = 4  # channels of 8 bits in one number
EXTREME = 16  # values this near to black or white count as such in a JPEG
MOSTLY = 0.95  # share of such pixels in a mask that was saved as JPEG


def stem_of(path: Path) -> str:
    """Name without the suffix, which for volumes may have two points."""
    suffix = volume_suffix(path)
    return path.name[: -len(suffix)] if suffix else path.stem


def unmasked(stem: str) -> str | None:
    """`scan 3` for `scan 3_mask`, `scan 3-seg` or `scan 3_mask_1`; None for other names."""
    found = ENDING.match(stem) or BEGINNING.match(stem)
    return found["base"] if found else None


def masks_by_suffix(files: Sequence[Path]) -> dict[Path, Path]:
    """Files that are named as the mask of another one in their folder, and that one."""
    by_name = {(f.parent, stem_of(f).casefold()): f for f in files}
    found = {}
    for path in files:
        base = unmasked(stem_of(path))
        other = by_name.get((path.parent, base.casefold())) if base else None
        if other and other != path:
            found[path] = other
    return {mask: image for mask, image in found.items() if image not in found}


def looks_like_mask(mask: Path, image: Path) -> bool:
    """Whether `mask` has few values and the size of `image`; of volumes nothing is read."""
    if volume_suffix(mask):
        return volume_suffix(image) is not None
    try:
        values, size = stored(mask, palette=True), np.shape(stored(image, palette=True))[:2]
    except DataError:
        return False
    if values.shape[:2] != size:
        return False
    if mask.suffix.lower() in JPEG:
        near = (values <= EXTREME) | (values >= 255 - EXTREME)
        return bool(near.mean() >= MOSTLY)
    return len(distinct(values)) <= MOST_CLASSES


def distinct(values: Shaped[ndarray, "..."]) -> Shaped[ndarray, "..."]:
    """Different values of a gray image, or different colors (rows) of a color image."""
    if values.ndim == 2:
        return np.unique(values)
    if values.dtype != np.uint8 or values.shape[2] > PACKED:
        return np.unique(values.reshape(-1, values.shape[2]), axis=0)
    shifts = 8 * np.arange(values.shape[2] - 1, -1, -1, dtype=np.uint32)
    # one number a color: to sort rows takes a minute for 4000 x 4000 pixels
    numbers = np.zeros(values.shape[:2], np.uint32)
    for c, shift in enumerate(shifts):
        numbers |= values[:, :, c].astype(np.uint32) << shift
    return (np.unique(numbers)[:, None] >> shifts & 255).astype(np.uint8)


def are_masks(pairs: dict[Path, Path]) -> bool:
    """Whether most files that are named as masks look like some: a bad one is named later."""
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda m: looks_like_mask(m, pairs[m]), pairs))
    return sum(found) > len(found) / 2
