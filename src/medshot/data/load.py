"""Load folders as data sets, also with the preprocessing and labels of a predictor."""

from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from medshot.core import Card, DataError, LeakError
from medshot.data.checks.skip import left_out_notes, skipping_bad
from medshot.data.dataset import Dataset
from medshot.data.layouts.recognize import unlabeled_value
from medshot.data.multimodal import MultimodalPreprocessing, as_read_by
from medshot.data.readers.points import size_at_points
from medshot.data.readers.registry import USUAL, kind_of, reader_of


@overload
def load(
    folder: str | Path,
    /,
    *,
    channels: int | None = ...,
    size: int | None = ...,
    task: str | None = ...,
    skip_bad: bool = ...,
    ignore_value: int | None = ...,
    point_size: float | None = ...,
) -> Dataset: ...
@overload
def load(
    folder: str | Path,
    second: str | Path,
    /,
    *more: str | Path,
    channels: int | None = ...,
    size: int | None = ...,
    task: str | None = ...,
    skip_bad: bool = ...,
    ignore_value: int | None = ...,
    point_size: float | None = ...,
) -> list[Dataset]: ...


def load(
    *folders: str | Path,
    channels: int | None = None,
    size: int | None = None,
    task: str | None = None,
    skip_bad: bool = False,
    ignore_value: int | None = None,
    point_size: float | None = None,
) -> Dataset | list[Dataset]:
    """Load the data set in a folder; for several folders, a list of them.

    A folder has labels.csv (path,label[,patient,split]), or one sub-folder a class, or the zips of
    Omniglot. Images are stored as 8-bit tensors of `channels` x `size` x `size`, by default 3 x 64
    x 64 (Omniglot: 1 x 28 x 28; with masks: 3 x 128 x 128); a learner with another encoder reads
    them again itself. If labels.csv has a column `mask` and none `label`, or with
    `task="segmentation"`, every image has a mask; likewise `target` holds numbers, `grade` grades,
    and `labels` findings. With `skip_bad`, lines and files that cannot be used (damaged, listed
    twice, of another size than their mask) are left out, and named in `notes`. Pixels of masks with
    `ignore_value` have no label: neither learned from nor scored. So masks may be scribbles.
    Objects that are marked by points are `point_size` pixels across; None: estimated from the
    images.

    Raises:
        DataError: the problem, the file, and the fix.
    """
    if not folders:
        raise DataError("Name at least one folder: medshot.load('my_images').")
    kinds = [kind_of(Path(folder), task) for folder in folders]
    loaded = [
        load_one(
            Path(f),
            channels,
            size,
            k,
            skip_bad=skip_bad,
            ignore_value=ignore_value,
            point_size=point_size,
        )
        for f, k in zip(folders, kinds, strict=True)
    ]
    return loaded[0] if len(loaded) == 1 else loaded


def load_one(
    folder: Path,
    channels: int | None = None,
    size: int | None = None,
    task: str = USUAL,
    *,
    skip_bad: bool = False,
    ignore_value: int | None = None,
    point_size: float | None = None,
) -> Dataset:
    """Load the data set in one folder; further options as in `load`."""
    with skipping_bad(skip_bad) as left, unlabeled_value(ignore_value), size_at_points(point_size):
        found = reader_of(task)(folder, channels, size)
    return replace(found, notes=(*left_out_notes(left), *found.notes)) if left else found


FORM = ("channels", "size")


def images_for(card: Card, folder: Path) -> Dataset:
    """Load `folder` with the preprocessing and labels of a predictor's `card`.

    Raises:
        DataError: it is for another task, or has labels that the predictor does not know.
    """
    form: dict[str, Any] = {name: getattr(card.preprocessing, name, None) for name in FORM}
    return in_form(card, load_one(folder, **form, task=card.kind))


def in_form(card: Card, dataset: Dataset) -> Dataset:
    """Convert `dataset` to the preprocessing and labels of a predictor's `card`.

    Raises:
        DataError: it is for another task, or has labels that the predictor does not know.
    """
    if dataset.kind != card.kind:
        raise DataError(f"{dataset.name} is for {dataset.kind}, and the model does {card.kind}.")
    if isinstance(card.preprocessing, MultimodalPreprocessing):
        dataset = as_read_by(dataset, card.preprocessing)
    form: list[Any] = [getattr(card.preprocessing, name, None) for name in FORM]
    return dataset.at(*form).numbered_as(card.labels)


def refuse_learned_from(card: Card, dataset: Dataset, name: str = "The model") -> None:
    """Raise `LeakError` if, by its card, a predictor was trained on images of `dataset`.

    Images are recognized by the hash of their files, in any folder; a re-encoded image is another
    file. Cards of older versions hold only the hash of the whole folder.
    """
    known = set(card.data.get("files", ()))
    same = [i for i, file in enumerate(dataset.contents) if file in known]
    if dataset.hash in str(card.data.get("hash", "")).split(" + "):
        same = list(range(len(dataset)))
    if same:
        first = f" (first: {dataset.rows[same[0]].path.name})" if dataset.rows else ""
        raise LeakError(
            f"{name} learned from {len(same)} of the {len(dataset)} images of "
            f"{dataset.name}{first}: its scores there are too good. Leave them out, or take images "
            "of other patients."
        )


def refuse_shared(learned: Dataset, test: Dataset) -> None:
    """Raise `LeakError` if an evaluation image is among the training images."""
    known = {image.numpy().tobytes() for image in learned.x}
    shared = [i for i, image in enumerate(test.x) if image.numpy().tobytes() in known]
    if shared:
        first = test.rows[shared[0]].path if test.rows else f"number {shared[0]}"
        raise LeakError(
            f"{len(shared)} image(s) of {test.name} are in {learned.name} too (first: {first}). "
            "Leave them out of one, or the scores will be too good."
        )
