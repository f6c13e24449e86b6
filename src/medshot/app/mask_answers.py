"""The folder that `medshot predict` writes for masks: a file an image, and a table of all."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from medshot.app.answer_folder import AnswerFolder
from medshot.app.answers import path_cell
from medshot.core.prediction import MaskPrediction
from medshot.data.draw import colours
from medshot.data.io.read_volume import read_volume
from medshot.data.io.sniff import volume_suffix
from medshot.data.io.write import write_nifti_mask


class MaskAnswers(AnswerFolder):
    """Masks in `folder` as they come, and a row an image: path, mask, the share of each class.

    A mask is a PNG with a palette: a class number a pixel, as `medshot.load` reads it, in colours
    for who looks at it. That of a volume is NIfTI on the grid of its file.
    """

    def __init__(self, folder: Path, labels: Sequence[str]) -> None:
        super().__init__(folder, "mask", *[f"share({label})" for label in labels])
        self._labels = len(labels)

    def add(self, found: MaskPrediction) -> None:
        """The mask of one image."""
        flat = found.mask.ndim == 2
        name = self._free(_stem(found.path), ".png" if flat else ".nii.gz")
        if flat:
            picture = Image.fromarray(found.mask).convert("P")
            picture.putpalette(colours(self._labels).tobytes())
            picture.save(self.folder / name)
        else:
            write_nifti_mask(found.mask, read_volume(found.path), self.folder / name)
        shares = [f"{share:.6f}" for share in found.shares().values()]
        self._row(found.path, path_cell(name), *shares)


def _stem(path: str) -> str:
    """The name of a file without its suffix, also a double one."""
    name = Path(path).name
    return name.removesuffix(volume_suffix(Path(path)) or Path(path).suffix)
