"""Enhanced images: pairs side by side in the report; `predict` writes a folder of images."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from jaxtyping import Float
from numpy import ndarray
from PIL import Image

from medshot.core.atomic import new_folder
from medshot.core.learner import Learner
from medshot.core.prediction import ImagePrediction
from medshot.core.task import Card
from medshot.data.dataset import Dataset
from medshot.data.transforms import eight_bits
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.report.build import (
    SHOWN_OTHERS,
    SHOWN_WORST,
    name_of,
    patient_of,
    support_showing,
)
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.presenters.base import Kind
from medshot.presenters.tables import AnswerFolder, path_cell
from medshot.selection import Categorical, Family, FloatRange

SHOWN_SUPPORT = 6


def support_of_images(dataset: Dataset) -> r.Support:
    """The first pairs, and how many there are."""
    pictures = []
    for i in range(min(SHOWN_SUPPORT, len(dataset))):
        pictures += [(i, dataset.x[i].numpy(), "As they are")]
        pictures += [(i, dataset.y[i].numpy(), "As they should look")]
    shown = support_showing(dataset, pictures)
    return replace(shown, goal="to make images look like their targets")


def image_examples(dataset: Dataset, found: OutOfFold, seed: int = 0) -> tuple[r.ImageExample, ...]:
    """The worst answers first, by what they gain on the image, then some others at random.

    `dataset` is in the form that was answered.
    """
    before = found.task.evidence(dataset.examples().x.double().numpy(), found.y)
    gains = found.evidence[0] - before[0]
    order = np.argsort(gains, kind="stable")
    rest = np.random.default_rng(seed).permutation(order[SHOWN_WORST:])[:SHOWN_OTHERS]
    return tuple(
        r.ImageExample(
            dataset.x[i].numpy(),
            eight_bits(found.decoded[i]),
            dataset.y[i].numpy(),
            _scores(found, before, i),
            patient_of(dataset, i),
            name_of(dataset, i),
        )
        for i in map(int, (*order[:SHOWN_WORST], *rest))
    )


def _scores(
    found: OutOfFold, before: tuple[Float[ndarray, "n"], ...], i: int
) -> dict[str, tuple[float, float]]:
    """Of the answer and of the image as it was."""
    rows = zip(found.task.metrics, found.evidence, before, strict=True)
    return {metric: (float(after[i]), float(was[i])) for metric, after, was in rows}


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


FINE = {"encoder.scaling": "unit", "encoder.scales": (0.5, 1.0, 2.0, 4.0)}  # in pixels


class OfImages(Kind):
    """Every image as it should look."""

    name = "enhancement"
    encoder = "dncnn"
    linear = "residual-ridge"
    out = "answers"
    folds = 2
    families = (  # learned filters, and a small DnCNN that is trained from scratch
        Family("residual-ridge", "filters", FINE, simple=True),
        Family(
            "finetune",
            "dncnn",
            {
                "encoder.width": Categorical((16, 8, 32)),
                "encoder.depth": Categorical((5, 3, 7)),
                "lr": FloatRange(0.0005, 0.01, starts=(0.003,)),
                "steps": FloatRange(50, 400, starts=(150,)),
                "batch": 4,
            },
            simple=True,
        ),
        Family("residual-ridge", "dncnn", {"encoder.width": Categorical((16, 8, 32))}),
    )

    def baseline(self, **form: Any) -> Learner:
        """The image as it is: who does worse does harm."""
        return build("identity", encoder=encoder("as-is", **form))

    def support(self, dataset: Dataset) -> r.Support:
        """The first pairs."""
        return support_of_images(dataset)

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Image, answer and target beside each other, the worst first."""
        answered = dataset.at(dataset.preprocessing.channels, found.y.shape[-1])
        return {
            "enhanced": image_examples(answered, found),
            "examples_note": f"{unseen} Those that gained least, or lost, come first, then some "
            "others: look at the table for how well it does in all.",
        }

    @contextmanager
    def answers(self, out: Path, card: Card) -> Iterator[ImageAnswers]:
        """An image an image, and a table beside them."""
        del card
        with new_folder(out) as staging:
            found = ImageAnswers(staging)
            yield found
            found.close()

    def warnings(self, dataset: Dataset) -> Sequence[str]:
        """Scores are of squares, not of whole images."""
        side = dataset.x.shape[-1]
        return (
            f"Learned and judged on one square of {side} x {side} pixels of each image, the one on "
            "which most is to be seen. Answers are for whole images.",
        )
