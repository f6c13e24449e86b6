"""Loading of folders: as data sets, and in the form of a predictor."""

from pathlib import Path
from typing import Any, overload

from medshot.core.errors import DataError, LeakError
from medshot.core.task import Card
from medshot.data.dataset import Dataset
from medshot.data.multimodal import MultimodalPreprocessing, as_read_by
from medshot.data.readers.registry import USUAL, kind_of, reader_of


@overload
def load(
    folder: str | Path,
    /,
    *,
    channels: int | None = ...,
    size: int | None = ...,
    task: str | None = ...,
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
) -> list[Dataset]: ...


def load(
    *folders: str | Path,
    channels: int | None = None,
    size: int | None = None,
    task: str | None = None,
) -> Dataset | list[Dataset]:
    """The data set in a folder; for several folders, a list of them.

    A folder has labels.csv (path,label[,patient,split]) or one sub-folder a class, or the zips
    of Omniglot. Images are kept as 8-bit tensors of `channels` x `size` x `size`, 3 x 64 x 64 if
    not told (Omniglot: 1 x 28 x 28; with masks: 3 x 128 x 128); a learner that wants another form
    asks for it by itself. Where labels.csv has a column `mask` and none `label`, or with
    `task="segmentation"`, every image comes with its mask; likewise `target` holds numbers, `grade`
    grades, and `labels` findings.

    Raises:
        DataError: what is wrong, in which file, and what to do.
    """
    if not folders:
        raise DataError("Name at least one folder: medshot.load('my_images').")
    kinds = [kind_of(Path(folder), task) for folder in folders]
    loaded = [load_one(Path(f), channels, size, k) for f, k in zip(folders, kinds, strict=True)]
    return loaded[0] if len(loaded) == 1 else loaded


def load_one(
    folder: Path,
    channels: int | None = None,
    size: int | None = None,
    task: str = USUAL,
) -> Dataset:
    """The data set in one folder."""
    return reader_of(task)(folder, channels, size)


FORM = ("channels", "size")


def images_for(card: Card, folder: Path) -> Dataset:
    """The images in `folder`, in the form and with the labels of a predictor's `card`.

    Raises:
        DataError: they are of another kind, or have labels that the predictor does not know.
    """
    form: dict[str, Any] = {name: getattr(card.preprocessing, name, None) for name in FORM}
    return in_form(card, load_one(folder, **form, task=card.kind))


def in_form(card: Card, dataset: Dataset) -> Dataset:
    """The images of `dataset`, in the form and with the labels of a predictor's `card`.

    Raises:
        DataError: they are of another kind, or have labels that the predictor does not know.
    """
    if dataset.kind != card.kind:
        raise DataError(f"{dataset.name} is for {dataset.kind}, and the model does {card.kind}.")
    if isinstance(card.preprocessing, MultimodalPreprocessing):
        dataset = as_read_by(dataset, card.preprocessing)
    form: list[Any] = [getattr(card.preprocessing, name, None) for name in FORM]
    return dataset.at(*form).numbered_as(card.labels)


def refuse_learned_from(card: Card, dataset: Dataset, name: str = "The model") -> None:
    """Raise `LeakError` if a predictor learned from images of `dataset`, by what its card says.

    Images are known again by what is in their files, in whatever folder they lie; an image that was
    saved anew is another file. Cards of before say the hash of the whole folder alone.
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


def refuse_shared(learned: Dataset, judged: Dataset) -> None:
    """Raise `LeakError` if an image to be judged on is among those that are learned from."""
    known = {image.numpy().tobytes() for image in learned.x}
    shared = [i for i, image in enumerate(judged.x) if image.numpy().tobytes() in known]
    if shared:
        first = judged.rows[shared[0]].path if judged.rows else f"number {shared[0]}"
        raise LeakError(
            f"{len(shared)} image(s) of {judged.name} are in {learned.name} too (first: {first}). "
            "Leave them out of one, or the scores will be too good."
        )
