"""Images for images: pairs side by side in the report; answers as a folder of images."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medshot.app.image_answers import ImageAnswers
from medshot.app.kinds.kind import Kind
from medshot.core.atomic import new_folder
from medshot.core.learner import Learner
from medshot.core.predictor import Card
from medshot.data.dataset import Dataset
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.summarise_images import image_examples, support_of_images
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.select import Between, Family, OneOf

FINE = {"encoder.scaling": "unit", "encoder.scales": (0.5, 1.0, 2.0, 4.0)}  # in pixels


class OfImages(Kind):
    """Every image as it should look."""

    name = "enhancement"
    encoder = "dncnn"
    linear = "residual-ridge"
    out = "answers"
    folds = 2
    families = (  # learnt filters, and a small DnCNN that is trained from scratch
        Family("residual-ridge", "filters", FINE, simple=True),
        Family(
            "finetune",
            "dncnn",
            {
                "encoder.width": OneOf((16, 8, 32)),
                "encoder.depth": OneOf((5, 3, 7)),
                "lr": Between(0.0005, 0.01, starts=(0.003,)),
                "steps": Between(50, 400, starts=(150,)),
                "batch": 4,
            },
            simple=True,
        ),
        Family("residual-ridge", "dncnn", {"encoder.width": OneOf((16, 8, 32))}),
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
            f"Learnt and judged on one square of {side} x {side} pixels of each image, the one on "
            "which most is to be seen. Answers are for whole images.",
        )
