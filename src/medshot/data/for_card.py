"""Labelled images as a predictor takes them: in its form, with the numbers of its classes."""

from pathlib import Path
from typing import Any

from medshot.core.errors import DataError, LeakError
from medshot.core.predictor import Card
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.data.multimodal import Multimodal

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
    if isinstance(dataset, Multimodal):
        dataset = dataset.as_read_by(card.preprocessing)
    channels, size = (getattr(card.preprocessing, name, None) for name in FORM)
    fitted = dataset.at(channels, size) if channels and size else dataset
    return fitted.numbered_as(card.labels)


def refuse_learnt_from(card: Card, dataset: Dataset, name: str = "The model") -> None:
    """Raise `LeakError` if a predictor learnt from images of `dataset`, by what its card says.

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
            f"{name} learnt from {len(same)} of the {len(dataset)} images of {dataset.name}{first}:"
            " its scores there are too good. Leave them out, or take images of other patients."
        )
