"""Boxes: frames in the report; answers as a table of boxes, also in COCO's form."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medshot.app.box_answers import BoxAnswers
from medshot.app.folder import new_folder
from medshot.app.kinds.kind import Kind
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
from medshot.select import Auto

COLOURS = ("orange", "blue", "green", "yellow", "dark blue", "red", "pink")


class OfBoxes(Kind):
    """Boxes around objects, each of a class."""

    name = "detection"
    encoder = "unet"
    out = "answers"

    def candidates(self) -> Auto:
        """Templates, two heads on filters, and a U-Net that is trained from scratch."""
        filters = encoder("filters")
        template = build("template", encoder=encoder("intensities"))
        heads = [build(name, encoder=filters) for name in ("linear-probe", "nearest-centroid")]
        unet = encoder("unet", width=8, depth=4)
        trained = build("finetune", encoder=unet, lr=0.01, steps=150, batch=4)
        return Auto([template, *heads, trained], folds=2).eval()

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
