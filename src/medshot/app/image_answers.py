"""The folder that `medshot predict` writes for enhancement: an image an image, and a table."""

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from medshot.app.answer_folder import AnswerFolder
from medshot.app.answers import path_cell
from medshot.core.prediction import ImagePrediction


class ImageAnswers(AnswerFolder):
    """Enhanced images in `folder` as they come, and a row each: path, image.

    An answer is a PNG, called as its image; where PNG cannot hold the values (floating point, over
    8 bits in colour) it is a TIFF.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "image")

    def add(self, found: ImagePrediction) -> None:
        """The answer for one image."""
        pixels = found.pixels[:, :, 0] if found.pixels.shape[2] == 1 else found.pixels
        plain = pixels.dtype == np.uint8 or (pixels.dtype == np.uint16 and pixels.ndim == 2)
        name = self._free(Path(found.path).stem, ".png" if plain else ".tif")
        if plain:
            Image.fromarray(pixels).save(self.folder / name)
        else:
            photometric = "rgb" if pixels.ndim == 3 else "minisblack"
            tifffile.imwrite(self.folder / name, pixels, photometric=photometric)
        self._row(found.path, path_cell(name))
