"""Findings: a row a finding, and examples; answers as a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medshot.app.answers import Findings
from medshot.app.kinds.solved import Solved
from medshot.core.atomic import write_text
from medshot.core.predictor import Card
from medshot.data.dataset import Dataset
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.summarise_findings import (
    finding_examples,
    support_of_findings,
    table_of_findings,
)


class OfFindings(Solved):
    """Any number of findings an image."""

    name = "multi-label"

    def support(self, dataset: Dataset) -> r.Support:
        """The first images with each finding, and without any."""
        return support_of_findings(dataset)

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Scores for each finding, and examples of which half are wrong in something."""
        return {
            "tables": (table_of_findings(dataset, found),),
            "examples": finding_examples(dataset, found),
            "examples_note": f"{unseen} Half of those shown are wrong in one finding at least "
            "where there are as many: look at the table for how often that happens.",
        }

    @contextmanager
    def answers(self, out: Path, card: Card) -> Iterator[Findings]:
        """A table with a probability a finding."""
        found = Findings(card.labels)
        yield found
        write_text(out, found.text())
