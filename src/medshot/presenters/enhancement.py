"""Enhancement: image pairs side by side in the report; `predict` writes a folder of images."""

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

from medshot.core import Card, ImagePrediction, Learner
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
from medshot.presenters.tables import AnswerFolder, answer_folder, path_cell
from medshot.selection import Categorical, FloatRange, LearnerFamily

SHOWN_SUPPORT = 6


def support_of_images(dataset: Dataset) -> r.Support:
    """The first pairs, and how many there are."""
    pictures = []
    for i in range(min(SHOWN_SUPPORT, len(dataset))):
        pictures += [(i, dataset.x[i].numpy(), "Images")]
        pictures += [(i, dataset.y[i].numpy(), "Targets")]
    shown = support_showing(dataset, pictures)
    return replace(shown, goal="to make images look like their targets")


def image_examples(dataset: Dataset, found: OutOfFold, seed: int = 0) -> tuple[r.ImageExample, ...]:
    """Worst predictions first, by their gain over the input, then some others at random.

    `dataset` has the form of the predictions.
    """
    before = found.task.metric_inputs(dataset.examples().x.double().numpy(), found.y)
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
    """Scores of the prediction and of the input image."""
    rows = zip(found.task.metrics, found.evidence, before, strict=True)
    return {metric: (float(after[i]), float(was[i])) for metric, after, was in rows}


class ImageAnswers(AnswerFolder):
    """Writer of enhanced images to `folder`, and a CSV row each: path, image.

    An image is a PNG with the name of its input; a TIFF where PNG cannot hold the values (floating
    point, or color over 8 bits).
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "image")

    def add(self, found: ImagePrediction) -> None:
        """Write the enhanced image."""
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
    """An enhanced image for every image."""

    name = "enhancement"
    encoder = "dncnn"
    linear = "residual-ridge"
    out = "answers"
    folds = 2
    families = (  # learned filters, and a small DnCNN trained from scratch
        LearnerFamily("residual-ridge", "filters", FINE, simple=True),
        LearnerFamily(
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
        LearnerFamily("residual-ridge", "dncnn", {"encoder.width": Categorical((16, 8, 32))}),
    )

    def baseline(self, **form: Any) -> Learner:
        """The identity: a learner that scores lower makes images worse."""
        return build("identity", encoder=encoder("as-is", **form))

    def support(self, dataset: Dataset) -> r.Support:
        """The first pairs."""
        return support_of_images(dataset)

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Input, prediction and target side by side, the worst first."""
        answered = dataset.at(dataset.preprocessing.channels, found.y.shape[-1])
        return {
            "enhanced": image_examples(answered, found),
            "examples_note": f"{unseen} Those that gained least, or lost, come first, then some "
            "others: look at the table for how well it does in all.",
        }

    @contextmanager
    def answers(self, out: Path, card: Card) -> Iterator[ImageAnswers]:
        """A folder of images with a CSV."""
        del card
        with answer_folder(out) as staging:
            found = ImageAnswers(staging)
            yield found
            found.close()

    def warnings(self, dataset: Dataset) -> Sequence[str]:
        """Warn that scores are of crops, not of whole images."""
        side = dataset.x.shape[-1]
        return (
            f"Trained and evaluated on one crop of {side} x {side} pixels of each image, the one "
            "with the highest variance. Predictions are for whole images.",
        )
