"""The folder that `medshot predict` writes for masks: a file an image, and a table of all."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from medshot.app.answers import path_cell
from medshot.core.files import write_text
from medshot.core.prediction import MaskPrediction
from medshot.data.formats.door import read_volume
from medshot.data.formats.kind import volume_suffix
from medshot.data.formats.write import write_nifti_mask
from medshot.data.outline import colours

TABLE = "answers.csv"
LONGEST = 100  # characters of an image's name that its mask keeps


class MaskAnswers:
    """Masks in `folder` as they come, and a row an image: path, mask, the share of each class.

    A mask is a PNG with a palette: a class number a pixel, as `medshot.load` reads it, in colours
    for who looks at it. That of a volume is NIfTI on the grid of its file. It is called as its
    image, in UTF-8; where two are called so, the second gets a `_2`.
    """

    def __init__(self, folder: Path, labels: Sequence[str]) -> None:
        self.folder, self.unread, self._n = folder, 0, len(labels)
        self._taken: set[str] = set()
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(["path", "mask", *[f"share({label})" for label in labels]])
        folder.mkdir(parents=True)

    def add(self, found: MaskPrediction) -> None:
        """The mask of one image."""
        flat = found.mask.ndim == 2
        name = self._name(path_cell(_stem(found.path))[:LONGEST], ".png" if flat else ".nii.gz")
        if flat:
            picture = Image.fromarray(found.mask).convert("P")
            picture.putpalette(colours(self._n).tobytes())
            picture.save(self.folder / name)
        else:
            write_nifti_mask(found.mask, read_volume(found.path), self.folder / name)
        shares = [f"{share:.6f}" for share in found.shares().values()]
        self._rows.writerow([path_cell(found.path), path_cell(name), *shares])

    def add_unread(self, path: Path) -> None:
        """A row without a mask, for a file that could not be read."""
        self.unread += 1
        self._rows.writerow([path_cell(path), *[""] * (1 + self._n)])

    def close(self) -> None:
        """Write the table."""
        write_text(self.folder / TABLE, self._text.getvalue())

    def _name(self, stem: str, suffix: str) -> str:
        name, again = f"{stem}{suffix}", 2
        while name.casefold() in self._taken:
            name, again = f"{stem}_{again}{suffix}", again + 1
        self._taken.add(name.casefold())
        return name


def _stem(path: str) -> str:
    """The name of a file without its suffix, also a double one."""
    name = Path(path).name
    return name.removesuffix(volume_suffix(Path(path)) or Path(path).suffix)
