"""Omniglot: 1623 handwritten characters, 20 drawings of each.

Source: Lake, Salakhutdinov & Tenenbaum 2015, Science 350, 1332-1338. Read from the official
images_background.zip (964 characters) and images_evaluation.zip (659).

The PNGs have 1 bit. Pillow resizes such images by nearest neighbor whatever the filter, so papers
that name another filter used nearest neighbor too: `resize="nearest"` does as they did,
`resize="bilinear"` converts to gray first and then filters.
"""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from medshot.core import DataError
from medshot.data.dataset import Dataset
from medshot.data.transforms import ImagePreprocessing

ARCHIVES = ("images_background.zip", "images_evaluation.zip")
TURNS = ("rot000", "rot090", "rot180", "rot270")


def recognizes(folder: Path) -> bool:
    """Whether `folder` holds an official archive."""
    return any((folder / name).is_file() for name in ARCHIVES)


def load(
    folder: str | Path,
    *,
    channels: int = 1,
    size: int = 28,
    rotations: bool = False,
    resize: str = "nearest",
    classes: Sequence[str] | None = None,
) -> Dataset:
    """Load the characters of the archives in `folder`; ink is 0, paper 255.

    Class names are `Alphabet/characterNN`. With `rotations`, each character gives four classes,
    `Alphabet/characterNN/rot000` to `/rot270`, as in Snell et al. 2017. `classes` keeps only those
    named, in the given order. Drawers are not used as groups: all classes are by the same 20, and
    the protocols sample support and query across them.

    Raises:
        DataError: no archive, a damaged one, or a class that is not in them.
    """
    folder = Path(folder)
    form = ImagePreprocessing(channels=channels, size=size, resize=resize)
    archives = [folder / name for name in ARCHIVES if (folder / name).is_file()]
    if not archives:
        raise DataError(f"{folder} has neither {' nor '.join(ARCHIVES)}. Put them there.")
    drawings: dict[str, list[np.ndarray]] = {}
    for archive in archives:
        _read_archive(archive, size, resize, drawings)
    counts = {len(found) for found in drawings.values()}
    if len(counts) != 1:
        raise DataError(
            f"{folder}: the archives should hold as many drawings of each character, but hold "
            f"{' or '.join(map(str, sorted(counts))) or 'none'}. Download them again."
        )
    x, labels = _stack(drawings, rotations)
    if classes is not None:
        x, labels = _choose(x, labels, classes, folder)
    n, per_class = len(labels), x.shape[1]
    pixels = torch.from_numpy(x.reshape(n * per_class, 1, size, size))
    return Dataset(
        name="omniglot",
        x=pixels.expand(-1, channels, -1, -1).contiguous(),
        y=torch.arange(n).repeat_interleave(per_class),
        labels=tuple(labels),
        groups=torch.full((n * per_class,), -1),
        preprocessing=form,
        hash=hashlib.sha256("\n".join(labels).encode() + x.tobytes()).hexdigest()[:16],
        licence="MIT",
        notes=("All characters are by the same 20 drawers.",),
    )


def read_class_list(file: Path) -> list[str]:
    """The classes named in a split file, one a line.

    Raises:
        DataError: there is no such file.
    """
    if not file.is_file():
        raise DataError(
            f"{file} does not exist. It is the published list of classes, from the paper's code: "
            "put it in the folder of the archives."
        )
    return file.read_text(encoding="utf-8").split()


def _read_archive(
    archive: Path, size: int, resize: str, drawings: dict[str, list[np.ndarray]]
) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [n for n in opened.namelist() if n.endswith(".png") and n.count("/") == 3]
            for name in sorted(names):  # without what macOS adds
                _, alphabet, character, _ = name.split("/")
                image = Image.open(io.BytesIO(opened.read(name)), formats=("PNG",)).convert("L")
                image = image.resize((size, size), Image.Resampling[resize.upper()])
                drawings.setdefault(f"{alphabet}/{character}", []).append(np.asarray(image))
    except Exception as error:  # libraries raise any exception on damaged bytes
        raise DataError(f"{archive} is damaged ({error}). Download it again.") from error


def _stack(drawings: dict[str, list[np.ndarray]], rotations: bool) -> tuple[np.ndarray, list[str]]:
    names = sorted(drawings)
    x = np.stack([np.stack(drawings[name]) for name in names])  # k 20 h w
    if not rotations:
        return x, names
    turned = np.stack([np.rot90(x, k, (-2, -1)) for k in range(4)], axis=1)  # k 4 20 h w
    return turned.reshape(-1, *x.shape[1:]), [f"{name}/{turn}" for name in names for turn in TURNS]


def _choose(
    x: np.ndarray, labels: list[str], classes: Sequence[str], folder: Path
) -> tuple[np.ndarray, list[str]]:
    place = {label: i for i, label in enumerate(labels)}
    absent = [name for name in classes if name not in place]
    if absent:
        raise DataError(
            f"{folder}: {len(absent)} class(es) of the list are not in the archives, first "
            f"{absent[0]!r}. Both archives are needed, and rotations=True for names with /rot."
        )
    return x[[place[name] for name in classes]], list(classes)
