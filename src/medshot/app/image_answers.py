"""The folder that `medshot predict` writes for enhancement: an image an image, and a table."""

import csv
import io
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from medshot.app.answers import path_cell
from medshot.core.files import write_text
from medshot.core.prediction import ImagePrediction

TABLE = "answers.csv"
LONGEST = 100  # characters of an image's name that its answer keeps


class ImageAnswers:
    """Enhanced images in `folder` as they come, and a row each: path, image.

    An answer is a PNG, called as its image; where PNG cannot hold the values (floating point, over
    8 bits in colour) it is a TIFF. Where two are called so, the second gets a `_2`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.unread = folder, 0
        self._taken: set[str] = set()
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(["path", "image"])
        folder.mkdir(parents=True)

    def add(self, found: ImagePrediction) -> None:
        """The answer for one image."""
        pixels = found.pixels[:, :, 0] if found.pixels.shape[2] == 1 else found.pixels
        plain = pixels.dtype == np.uint8 or (pixels.dtype == np.uint16 and pixels.ndim == 2)
        stem = path_cell(Path(found.path).stem)[:LONGEST]
        name = self._name(stem, ".png" if plain else ".tif")
        if plain:
            Image.fromarray(pixels).save(self.folder / name)
        else:
            photometric = "rgb" if pixels.ndim == 3 else "minisblack"
            tifffile.imwrite(self.folder / name, pixels, photometric=photometric)
        self._rows.writerow([path_cell(found.path), path_cell(name)])

    def add_unread(self, path: Path) -> None:
        """A row without an image, for a file that could not be read."""
        self.unread += 1
        self._rows.writerow([path_cell(path), ""])

    def close(self) -> None:
        """Write the table."""
        write_text(self.folder / TABLE, self._text.getvalue())

    def _name(self, stem: str, suffix: str) -> str:
        name, again = f"{stem}{suffix}", 2
        while name.casefold() in self._taken:
            name, again = f"{stem}_{again}{suffix}", again + 1
        self._taken.add(name.casefold())
        return name
