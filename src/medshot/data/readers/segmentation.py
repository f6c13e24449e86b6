"""Readers of folders for segmentation of images and volumes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int8, Integer, UInt8
from numpy import ndarray
from torch import Tensor

from medshot.core import DataError
from medshot.data.checks.issue import Issue, refusal
from medshot.data.checks.masks import check_masks, class_findings, class_indices
from medshot.data.dataset import Dataset
from medshot.data.io.image import (
    MOST_CLASSES,
    NUMBERS,
    WHITE,
    fit_mask,
    orientation_mark,
    read_image,
    read_mask,
)
from medshot.data.io.read_volume import read_mask_volume, read_volume
from medshot.data.io.registry import volume_suffix
from medshot.data.io.volume import Volume
from medshot.data.layouts.content import MASK, DrawnRow
from medshot.data.layouts.recognize import Listed, content_of, listed, without_errors
from medshot.data.raters import agreement, apart, voted
from medshot.data.readers.metadata import folder_metadata, once, read_rows
from medshot.data.readers.orientation import MaskSide, side_of, upright
from medshot.data.readers.registry import reads
from medshot.data.tables.delimited import table_in
from medshot.data.tables.labels import Row, columns_of, mask_cells, mask_columns
from medshot.data.transforms import ImagePreprocessing, VolumePreprocessing
from medshot.data.weak_masks import completed
from medshot.tasks.segmentation import UNLABELED, Segmentation, mask_labels

AGAIN = "Export both from the same image, or leave the row out."
NO_GROUND = (
    "Take images with something beside the boxes; where there are points, mark some of the class "
    "background."
)
APART = 1.1  # ratio of spacings above which volumes are resampled to the median spacing


def has_volume_masks(folder: Path) -> bool:
    """Whether the masks of a folder, or those that labels.csv names, are volumes."""
    if content := content_of(folder):
        given = [row.mask for row in content.rows.get(MASK, ()) if row.mask]
        return bool(given) and volume_suffix(given[0]) is not None
    masks = mask_cells(table_in(folder))
    return bool(masks) and volume_suffix(Path(masks[0])) is not None


def check_volumes(folder: Path) -> list[Issue]:
    """Errors and warnings of a folder of volumes with masks."""
    double: set[Path] = set()
    known = listed(folder, MASK)

    def read(row: Row) -> ndarray:
        volume, mask = read_volume_pair(row, known.unlabeled)
        double.update([row.path] if volume.grid.other is not None else [])
        return mask

    found = check_masks(folder, read, white=False)
    return [
        *found,
        *agreement(folder, known.rows, read, known.unlabeled),
        *_two_affines(sorted(double)),
    ]


def _two_affines(paths: Sequence[Path]) -> list[Issue]:
    if not paths:
        return []
    what = f"{len(paths)} volume(s), first this one, have a qform and an sform that differ"
    fix = (
        "medshot and nibabel go by the sform, ITK-SNAP and 3D Slicer by the qform. Masks are "
        "written with both. Check left and right, or keep the one that is right."
    )
    return [Issue("warning", paths[0], None, what, fix)]


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
    listed_rows, placed = read_rows(found.rows, _placed)
    kept, digests, twice = once(listed_rows)
    rows, grids = [listed_rows[i] for i in kept], [placed[i] for i in kept]
    spacings = [spacing for spacing, _ in grids]
    middle = tuple(np.median(spacings, axis=0).round(4).tolist())
    form = VolumePreprocessing(None if _alike(np.array(spacings)) else middle)
    whole, read = read_rows(rows, lambda row: _read_volume(row, form, found.unlabeled))
    if len(whole) < len(rows):  # a mask that does not fit its volume, skipped
        there = [i for i, row in enumerate(rows) if row in whole]
        rows, digests, grids = whole, [digests[i] for i in there], [grids[i] for i in there]
    indices, labels = _numbered(folder, [seen for _, _, seen in read], found, white=False)
    masks = [_indexed(mask, indices) for _, mask, _ in read]
    x, y = stacked([values for values, _, _ in read], masks)
    double = [row.path for row, (_, other) in zip(rows, grids, strict=True) if other]
    rated = agreement(
        folder, rows, lambda row: read_volume_pair(row, found.unlabeled)[1], found.unlabeled
    )
    notes = (*twice, *[each.sentence for each in (*rated, *_two_affines(double))])
    return Dataset(
        x=x,
        y=y,
        labels=labels,
        preprocessing=form,
        task=Segmentation(len(labels), middle),
        read=partial(read_volumes, indices=indices),
        **folder_metadata(folder, rows, digests, notes=notes),
    )


def read_volumes(
    rows: Sequence[Row], form: VolumePreprocessing, indices: Mapping[int, int]
) -> tuple[UInt8[Tensor, "n 1 z h w"], Int8[Tensor, "n z h w"]]:
    """Read volumes and masks with the preprocessing `form`, and the index of each class number."""
    read = [_read_volume(row, form, _unlabeled(indices)) for row in rows]
    return stacked(
        [values for values, _, _ in read], [_indexed(mask, indices) for _, mask, _ in read]
    )


def _alike(spacings: np.ndarray) -> bool:
    """Whether spacings are similar enough to skip resampling."""
    return bool((spacings.max(0) <= APART * spacings.min(0)).all())


def _placed(row: Row) -> tuple[tuple[float, float, float], bool]:
    """Spacing, and whether the file has a second affine that differs."""
    volume = read_volume(row.path)
    return volume.spacing, volume.grid.other is not None


def _read_volume(
    row: Row, form: VolumePreprocessing, unlabeled: int | None
) -> tuple[ndarray, ndarray, set[int]]:
    """Values, mask, and the class numbers in the file."""
    volume, mask = read_volume_pair(row, unlabeled)
    return form.fit(volume), form.fit_mask(mask, volume), set(np.unique(mask).tolist())


def _indices(folder: Path, masks: Sequence[set[int]], *, white: bool) -> dict[int, int]:
    """`class_indices`, of which there are not too many."""
    indices = class_indices(masks, white=white)
    if max(indices.values()) >= MOST_CLASSES:
        raise class_findings(folder, masks, white=white)[0].error()
    return indices


def _numbered(
    folder: Path, masks: Sequence[set[int]], found: Listed, *, white: bool
) -> tuple[dict[int, int], tuple[str, ...]]:
    """Index of each class number, and the names of the classes, by the list `found`.

    Numbers with gaps, 1, 2 and 4, are their own names: `predict` writes them again.
    """
    names, left = found.names, found.unlabeled
    if left is not None:
        rest = replace(found, unlabeled=None)
        indices, labels = _numbered(folder, [each - {left} for each in masks], rest, white=white)
        return indices | {left: UNLABELED}, labels
    if not names:
        indices = _indices(folder, masks, white=white)
        numbers = list(indices)[: max(indices.values()) + 1]
        labels = mask_labels(numbers)
        if numbers != list(range(len(numbers))):
            return indices, labels
        called = dict(found.called)
        if len(numbers) == 2 and 1 not in called:  # black and white
            called[1] = next((found.called[c] for c in WHITE if c in found.called), labels[1])
        named = (called.get(c, label) for c, label in enumerate(labels) if c)
        return indices, ("background", *named)
    highest = max(len(names), *(max(each, default=0) for each in masks))
    rest = map(str, range(len(names) + 1, highest + 1))
    return {c: c for c in range(highest + 1)}, ("background", *names, *rest)


def _unlabeled(indices: Mapping[int, int]) -> int | None:
    """Number of pixels without a label."""
    return next((number for number, c in indices.items() if c == UNLABELED), None)


def _indexed(mask: Integer[ndarray, "*s"], indices: Mapping[int, int]) -> Integer[ndarray, "*s"]:
    """The mask with the index of each class in place of its number; -1 where it has no label."""
    table = np.zeros(max(indices) + 1, np.int8 if min(indices.values()) < 0 else np.uint8)
    table[list(indices)] = list(indices.values())
    return table[mask]


def read_volume_pair(row: Row, unlabeled: int | None = None) -> tuple[Volume, np.ndarray]:
    """Read the volume and the mask of one row, without preprocessing.

    Masks of several raters are joined, see `voted`; `unlabeled` is a number that is no class.

    Raises:
        DataError: one cannot be read, there is no mask, or the two have different grids.
    """
    volume = read_volume(row.path)
    masks = [_mask_volume(each, volume) for each in apart([row])]
    return volume, voted(masks, unlabeled) if row.raters else masks[0]


def _mask_volume(row: Row, volume: Volume) -> Integer[ndarray, "z h w"]:
    if row.mask is None:
        raise refusal(row.path, "it has no mask", "Give it one in labels.csv.", row.line).error()
    mask = read_mask_volume(row.mask, like=volume)
    numbers = np.unique(mask)
    if len(numbers) > MOST_CLASSES:
        what = f"it holds {len(numbers)} numbers up to {numbers[-1]}: too many for classes"
        raise refusal(row.mask, what, NUMBERS, row.line or None).error()
    return mask


def stacked(
    volumes: list[UInt8[ndarray, "..."]], masks: list[Integer[ndarray, "..."]]
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
    """Whether there are masks of images first of all: in labels.csv masks and no `label`."""
    if content := content_of(folder):
        return content.target == MASK and not has_volume_masks(folder)
    table = table_in(folder)
    masks = mask_columns(table) and "label" not in columns_of(table)
    return bool(masks) and not has_volume_masks(folder)


def read_image_and_mask(
    row: Row, *, turned: bool = False, unlabeled: int | None = None
) -> tuple[UInt8[ndarray, "h w c"], Integer[ndarray, "h w"]]:
    """Read the pixels and the mask of one row, both upright, without preprocessing.

    If only the image has an orientation mark, the mask is turned with it where its size fits this
    way only, and with `turned` where both ways fit. `unlabeled` is a number that is no class. Masks
    of several raters are joined, see `voted`.

    Raises:
        DataError: one cannot be read, there is no mask, or it is of another size than the image.
    """
    pixels = read_image(row.path)
    masks = [_mask_on(each, pixels, turned=turned, unlabeled=unlabeled) for each in apart([row])]
    return pixels, voted(masks, unlabeled) if row.raters else masks[0]


def _mask_on(
    row: Row, pixels: UInt8[ndarray, "h w c"], *, turned: bool, unlabeled: int | None
) -> Integer[ndarray, "h w"]:
    if row.mask is None:
        raise refusal(row.path, "it has no mask", "Give it one in labels.csv.", row.line).error()
    if isinstance(row, DrawnRow) and row.draw:
        mask = row.draw((pixels.shape[0], pixels.shape[1]))
        mask = completed(pixels, mask) if row.is_sketch else mask
    else:
        mask = read_mask(row.mask, white=False, unlabeled=unlabeled)
        mask = upright(mask, row, pixels.shape[:2], turned=turned)
    if mask.shape != pixels.shape[:2]:
        sizes = [" x ".join(map(str, shape)) for shape in (mask.shape, pixels.shape[:2])]
        what = f"it is a mask of {sizes[0]} pixels, and its image {row.path.name} has {sizes[1]}"
        if orientation_mark(row.path) != 1:
            what += " upright, turned by its orientation mark: the mask fits neither way"
        raise refusal(row.mask, what, AGAIN, row.line or None).error()
    return mask


def check_pairs(folder: Path) -> list[Issue]:
    """Errors and warnings of a folder of images with masks."""
    known = listed(folder, MASK)
    side = side_of([row for row in apart(known.rows) if not isinstance(row, DrawnRow)])

    def read(row: Row) -> ndarray:
        return read_image_and_mask(row, turned=side.turned, unlabeled=known.unlabeled)[1]

    found = check_masks(folder, read, white=True)
    found += agreement(folder, known.rows, read, known.unlabeled)
    return [*found, side.issue] if side.issue else found


@reads(Segmentation.kind, where=has_masks, check=check_pairs, target=MASK)
def masked(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the images of `folder` with a mask each; default 3 x 128 x 128."""
    form = ImagePreprocessing(channels=channels or 3, size=size or 128)
    found = without_errors(listed(folder, MASK))
    side = side_of([row for row in apart(found.rows) if not isinstance(row, DrawnRow)])
    listed_rows, everything = read_rows(
        found.rows, lambda row: _read(row, form, side, found.unlabeled)
    )
    kept, digests, twice = once(listed_rows)
    rows, read = [listed_rows[i] for i in kept], [everything[i] for i in kept]
    seen = [each for _, _, each in read]
    if any(isinstance(row, DrawnRow) and row.is_sketch for row in rows) and 0 not in set().union(
        *seen
    ):
        what = "its boxes or points leave no background on any image"
        raise refusal(folder, what, NO_GROUND).error()
    indices, labels = _numbered(folder, seen, found, white=True)
    rated = agreement(
        folder,
        rows,
        lambda row: read_image_and_mask(row, turned=side.turned, unlabeled=found.unlabeled)[1],
        found.unlabeled,
    )
    notes = (*found.notes, *side.notes, *twice, *[each.sentence for each in rated])
    return Dataset(
        x=torch.from_numpy(np.stack([pixels for pixels, _, _ in read])),
        y=torch.from_numpy(np.stack([_indexed(mask, indices) for _, mask, _ in read])),
        labels=labels,
        preprocessing=form,
        task=Segmentation(len(labels)),
        read=partial(read_masked, indices=indices, turned=side.turned),
        **folder_metadata(folder, rows, digests, notes=notes),
    )


def read_masked(
    rows: Sequence[Row],
    form: ImagePreprocessing,
    indices: Mapping[int, int],
    *,
    turned: bool = False,
) -> tuple[UInt8[Tensor, "n c s s"], Integer[Tensor, "n s s"]]:
    """Read images and masks with the preprocessing `form`, and the index of each class number.

    `turned` as in `read_image_and_mask`.
    """
    unlabeled = _unlabeled(indices)
    pairs = [read_image_and_mask(row, turned=turned, unlabeled=unlabeled) for row in rows]
    x = torch.from_numpy(np.stack([form.fit(pixels) for pixels, _ in pairs]))
    masks = [_indexed(fit_mask(mask, form.size, unlabeled), indices) for _, mask in pairs]
    return x, torch.from_numpy(np.stack(masks))


def _read(
    row: Row, form: ImagePreprocessing, side: MaskSide, unlabeled: int | None
) -> tuple[ndarray, ndarray, set[int]]:
    """Pixels, mask, and the class numbers in the file, which resizing may lose."""
    pixels, mask = read_image_and_mask(row, turned=side.turned, unlabeled=unlabeled)
    return form.fit(pixels), fit_mask(mask, form.size, unlabeled), set(np.unique(mask).tolist())
