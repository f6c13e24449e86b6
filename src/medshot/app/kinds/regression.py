"""Numbers: a scatter of answers and the worst of them; answers as a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medshot.app.answers import Numbers
from medshot.app.kinds.solved import Solved
from medshot.core.atomic import write_text
from medshot.core.predictor import Card
from medshot.data.dataset import Dataset
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.summarise_numbers import number_examples, scatter_of, support_of_numbers


class OfNumbers(Solved):
    """A number an image."""

    name = "regression"

    def support(self, dataset: Dataset) -> r.Support:
        """Images with small, middling and large numbers."""
        return support_of_numbers(dataset)

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Answers against the truth, and images, the worst first."""
        return {
            "scatter": scatter_of(found, dataset.labels[0]),
            "examples": number_examples(dataset, found),
            "examples_note": f"{unseen} The worst come first, then some others: look at the table "
            "for how well it does in all.",
        }

    @contextmanager
    def answers(self, out: Path, card: Card) -> Iterator[Numbers]:
        """A table with the number."""
        del card
        found = Numbers()
        yield found
        write_text(out, found.text())
