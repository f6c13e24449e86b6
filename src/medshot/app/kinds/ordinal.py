"""Grades: confusion in their order, and examples; answers as a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from medshot.app.answers import Answers
from medshot.app.kinds.solved import Solved
from medshot.core.atomic import write_text
from medshot.core.predictor import Card
from medshot.data.dataset import Dataset
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.summarise import confusion_of, examples_of, support_of
from medshot.tasks.ordinal import median_grade


class OfGrades(Solved):
    """A grade an image."""

    name = "ordinal"

    def support(self, dataset: Dataset) -> r.Support:
        """The first images of each grade."""
        return support_of(dataset, goal=f"the grades {', '.join(dataset.labels)}")

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Confusion, and examples of which half are wrong."""
        answers = np.eye(len(dataset.labels))[median_grade(found.decoded)]
        return {
            "confusion": confusion_of(dataset.labels, answers, found.y),
            "examples": examples_of(dataset, found.decoded, answers),
            "examples_note": f"{unseen} Half of those shown are wrong ones where there are as "
            "many: look at the table for how often that happens.",
        }

    @contextmanager
    def answers(self, out: Path, card: Card) -> Iterator[Answers]:
        """A table with a probability a grade."""
        found = Answers(card.labels)
        yield found
        write_text(out, found.text())
