"""`medshot.load`: folders of images to data sets."""

from pathlib import Path
from typing import overload

from medshot.core.errors import DataError
from medshot.data.dataset import Dataset
from medshot.data.folders.kinds import USUAL, kind_of, reader_of


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
