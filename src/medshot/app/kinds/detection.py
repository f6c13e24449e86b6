"""Boxes: frames in the report; answers as a table of boxes, also in COCO's form."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medshot.app.box_answers import BoxAnswers
from medshot.app.kinds.kind import Kind
from medshot.core.atomic import new_folder
from medshot.core.learner import Learner
from medshot.core.predictor import Card
from medshot.data.dataset import Dataset
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.summarise_boxes import (
    box_examples,
    support_of_boxes,
    table_of_classes,
)
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.select import Between, Family, OneOf

COLOURS = ("orange", "blue", "green", "yellow", "dark blue", "red", "pink")


class OfBoxes(Kind):
    """Boxes around objects, each of a class."""

    name = "detection"
    encoder = "unet"
    out = "answers"
    folds = 2
    families = (  # templates, two heads on filters, and a U-Net that is trained from scratch
        Family("template", "intensities", simple=True),
        Family("linear-probe", "filters", {"c": Between(0.1, 1000.0, (100.0,))}, simple=True),
        Family("nearest-centroid", "filters", simple=True),
        Family(
            "finetune",
            "unet",
            {
                "encoder.width": OneOf((8, 4, 16)),
                "encoder.depth": OneOf((4, 3)),
                "lr": Between(0.001, 0.03, starts=(0.01,)),
                "steps": Between(50, 400, starts=(150,)),
                "batch": 4,
            },
            simple=True,
        ),
    )

    def baseline(self, **form: Any) -> Learner:
        """A linear probe on filters around each site."""
        return build("linear-probe", encoder=encoder("filters", **form))

    def support(self, dataset: Dataset) -> r.Support:
        """The first images with their boxes."""
        return support_of_boxes(dataset)

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Scores of each class where there are several; images with frames, the worst first."""
        named = zip(dataset.labels, COLOURS, strict=False)
        colours = ", ".join(f"{label} {colour}" for label, colour in named)
        several = len(dataset.labels) > 1
        return {
            "tables": (table_of_classes(dataset, found),) if several else (),
            "masks": box_examples(dataset, found),
            "masks_title": "Example boxes",
            "examples_note": f"{unseen} The worst come first, then some others: look at the table "
            f"for how well it does in all. Colours: {colours}.",
        }

    @contextmanager
    def answers(self, out: Path, card: Card) -> Iterator[BoxAnswers]:
        """Three files: boxes, images, and both for other programs."""
        with new_folder(out) as staging:
            found = BoxAnswers(staging, card.labels)
            yield found
            found.close()
