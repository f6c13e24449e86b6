"""Readers of folders for segmentation of images and volumes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int8, UInt8
from numpy import ndarray
from torch import Tensor

from medshot.core import DataError
from medshot.data.checks.issue import TABLE, Issue, refusal
from medshot.data.checks.masks import check_masks
from medshot.data.dataset import Dataset
from medshot.data.io.image import MOST_CLASSES, NUMBERS, fit_mask, read_image, read_mask
from medshot.data.io.read_volume import read_mask_volume, read_volume
from medshot.data.io.registry import volume_suffix
from medshot.data.io.volume import Volume
from medshot.data.layouts.content import MASK, DrawnRow
from medshot.data.layouts.recognize import content_of, listed, without_errors
from medshot.data.readers.metadata import folder_metadata, named, once
from medshot.data.readers.registry import reads
from medshot.data.tables.labels import Row, cells, columns_of
from medshot.data.transforms import ImagePreprocessing, VolumePreprocessing
from medshot.tasks.segmentation import UNLABELED, Segmentation

AGAIN = "Export both from the same image, or leave the row out."
APART = 1.1  # ratio of spacings above which volumes are resampled to the median spacing


def has_volume_masks(folder: Path) -> bool:
    """Whether the masks of a folder, or of the column `mask` of labels.csv, are volumes."""
    if content := content_of(folder):
        given = [row.mask for row in content.rows.get(MASK, ()) if row.mask]
        return bool(given) and volume_suffix(given[0]) is not None
    masks = cells(folder / TABLE, "mask")
    return bool(masks) and volume_suffix(Path(masks[0])) is not None


def check_volumes(folder: Path) -> list[Issue]:
    """Errors and warnings of a folder of volumes with masks."""
    return check_masks(folder, lambda row: read_volume_pair(row)[1])


@reads(f"{Segmentation.kind}-3d", where=has_volume_masks, check=check_volumes, target=MASK)
def volumes(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the volumes of `folder` with a mask each; resample if their spacings differ."""
    if size:
        raise DataError(
            f"{folder} holds volumes, which keep their shape: leave the size out, and take an "
            'encoder for volumes, "unet3d" or "filters3d".'
        )
    del channels
    found = without_errors(listed(folder, MASK))
    kept, digests, twice = once(found.rows)
    rows = [found.rows[i] for i in kept]
    with ThreadPoolExecutor() as pool:
        spacings = list(
            pool.map(lambda row: named(row, lambda: read_volume(row.path)).spacing, rows)
        )
        middle = tuple(np.median(spacings, axis=0).round(4).tolist())
        form = VolumePreprocessing(None if _alike(np.array(spacings)) else middle)
        read = list(pool.map(lambda row: named(row, lambda: _read_volume(row, form)), rows))
    x, y = stacked([values for values, _, _ in read], [mask for _, mask, _ in read])
    labels = _labels(max(highest for _, _, highest in read), found.names)
    return Dataset(
        x=x,
        y=y,
        labels=labels,
        preprocessing=form,
        task=Segmentation(len(labels), middle),
        **folder_metadata(folder, rows, digests, notes=twice),
    )


def _labels(highest: int, names: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes: those known, then numbers; of one unnamed class `foreground`."""
    if highest == 1 and not names:
        return "background", "foreground"
    return "background", *names, *map(str, range(len(names) + 1, highest + 1))


def _alike(spacings: np.ndarray) -> bool:
    """Whether spacings are similar enough to skip resampling."""
    return bool((spacings.max(0) <= APART * spacings.min(0)).all())


def _read_volume(row: Row, form: VolumePreprocessing) -> tuple[np.ndarray, np.ndarray, int]:
    """Values, mask, and the highest number in the file."""
    volume, mask = read_volume_pair(row)
    return form.fit(volume), form.fit_mask(mask, volume), int(mask.max())


def read_volume_pair(row: Row) -> tuple[Volume, np.ndarray]:
    """Read the volume and the mask of one row, without preprocessing.

    Raises:
        DataError: one cannot be read, there is no mask, or the two have different grids.
    """
    if row.mask is None:
        raise refusal(row.path, "it has no mask", "Give it one in labels.csv.", row.line).error()
    volume = read_volume(row.path)
    mask = read_mask_volume(row.mask, like=volume)
    highest = int(mask.max())
    if highest >= MOST_CLASSES:
        what = f"it holds numbers up to {highest}: too many for classes"
        raise refusal(row.mask, what, NUMBERS, row.line or None).error()
    return volume, mask


def stacked(
    volumes: list[UInt8[ndarray, "..."]], masks: list[UInt8[ndarray, "..."]]
) -> tuple[UInt8[Tensor, "n 1 z h w"], Int8[Tensor, "n z h w"]]:
    """Stack volumes and masks of different shapes, padded to the largest of each side."""
    shape = np.array([v.shape for v in volumes]).max(0)
    x = torch.zeros(len(volumes), 1, *shape.tolist(), dtype=torch.uint8)
    y = torch.full((len(volumes), *shape.tolist()), UNLABELED, dtype=torch.int8)
    for i, (values, mask) in enumerate(zip(volumes, masks, strict=True)):
        there = tuple(slice(0, side) for side in values.shape)
        x[i, 0][there] = torch.from_numpy(values)
        y[i][there] = torch.from_numpy(mask.astype(np.int8))
    return x, y


def has_masks(folder: Path) -> bool:
    """Whether there are masks of images first of all: in labels.csv a `mask` and no `label`."""
    if content := content_of(folder):
        return content.target == MASK and not has_volume_masks(folder)
    columns = columns_of(folder / TABLE)
    return "mask" in columns and "label" not in columns and not has_volume_masks(folder)


def read_image_and_mask(row: Row) -> tuple[UInt8[ndarray, "h w c"], UInt8[ndarray, "h w"]]:
    """Read the pixels and the mask of one row, without preprocessing.

    Raises:
        DataError: one cannot be read, there is no mask, or it is of another size than the image.
    """
    if row.mask is None:
        raise refusal(row.path, "it has no mask", "Give it one in labels.csv.", row.line).error()
    pixels = read_image(row.path)
    if isinstance(row, DrawnRow) and row.draw:
        mask = row.draw((pixels.shape[0], pixels.shape[1]))
    else:
        mask = read_mask(row.mask)
    if mask.shape != pixels.shape[:2]:
        sizes = [" x ".join(map(str, shape)) for shape in (mask.shape, pixels.shape[:2])]
        what = f"it is a mask of {sizes[0]} pixels, and its image {row.path.name} has {sizes[1]}"
        raise refusal(row.mask, what, AGAIN, row.line or None).error()
    return pixels, mask


def check_pairs(folder: Path) -> list[Issue]:
    """Errors and warnings of a folder of images with masks."""
    return check_masks(folder, lambda row: read_image_and_mask(row)[1])


@reads(Segmentation.kind, where=has_masks, check=check_pairs, target=MASK)
def masked(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the images of `folder` with a mask each; default 3 x 128 x 128."""
    form = ImagePreprocessing(channels=channels or 3, size=size or 128)
    found = without_errors(listed(folder, MASK))
    with ThreadPoolExecutor() as pool:
        everything = list(pool.map(lambda row: _read(row, form), found.rows))
    kept, digests, twice = once(found.rows)
    rows, read = [found.rows[i] for i in kept], [everything[i] for i in kept]
    labels = _labels(max(highest for _, _, highest in read), found.names)
    return Dataset(
        x=torch.from_numpy(np.stack([pixels for pixels, _, _ in read])),
        y=torch.from_numpy(np.stack([mask for _, mask, _ in read])),
        labels=labels,
        preprocessing=form,
        task=Segmentation(len(labels)),
        read=read_masked,
        **folder_metadata(folder, rows, digests, notes=(*found.notes, *twice)),
    )


def read_masked(
    rows: Sequence[Row], form: ImagePreprocessing
) -> tuple[UInt8[Tensor, "n c s s"], UInt8[Tensor, "n s s"]]:
    """Read images and masks with the preprocessing `form`."""
    pairs = [read_image_and_mask(row) for row in rows]
    x = torch.from_numpy(np.stack([form.fit(pixels) for pixels, _ in pairs]))
    return x, torch.from_numpy(np.stack([fit_mask(mask, form.size) for _, mask in pairs]))


def _read(row: Row, form: ImagePreprocessing) -> tuple[np.ndarray, np.ndarray, int]:
    """Pixels, mask, and the highest class number in the file, which resizing may lose."""
    pixels, mask = named(row, lambda: read_image_and_mask(row))
    return form.fit(pixels), fit_mask(mask, form.size), int(mask.max())
