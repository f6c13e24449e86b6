"""Regression, ordinal and multi-label: scatter plot, confusion matrix, table of findings, CSV."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from medshot.core import Card, Learner
from medshot.data.dataset import Dataset
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.report.build import (
    SHOWN_A_CLASS,
    confusion_of,
    examples_of,
    half_wrong,
    name_of,
    patient_of,
    support_of,
    support_showing,
)
from medshot.evaluation.report.text import number
from medshot.factory import WAYS
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.presenters.base import Kind
from medshot.presenters.tables import AnswerTable, Findings, LabelTable, Numbers, written
from medshot.selection import Categorical, FloatRange, LearnerFamily
from medshot.tasks.multi_label import LIKELY, aurocs, average_precisions, f1_scores
from medshot.tasks.ordinal import median_grade

WIDE = {"encoder.width": Categorical((64, 16, 32))}
PENALTY = {"penalty": FloatRange(0.001, 1000.0, starts=(0.1, 1.0, 10.0, 100.0))}
ONE_PENALTY = {"penalty": FloatRange(0.001, 1000.0, starts=(1.0,))}  # for slow learners
DESCENT = {
    "lr": FloatRange(1e-4, 0.1, starts=(0.003,)),
    "steps": FloatRange(20, 200, starts=(50,)),
    "batch": 16,
}


class Solved(Kind):
    """Image-level targets that are encoded as a row of numbers."""

    encoder = "mobilenet"
    linear = "ridge"
    families = (
        LearnerFamily("stacked-probe", "mobilenet", simple=True),
        LearnerFamily("ridge", "conv4", WIDE | PENALTY),
        LearnerFamily(
            "ridge", "pixels", {"encoder.reduce": Categorical((2, 1, 4, 8)), **PENALTY}, simple=True
        ),
        LearnerFamily("finetune", "conv4", {"encoder.width": Categorical((32, 16, 64)), **DESCENT}),
        LearnerFamily("ridge", "conv4", WIDE | ONE_PENALTY | WAYS),
    )

    def baseline(self, **form: Any) -> Learner:
        """Ridge regression on raw pixels."""
        return build("ridge", encoder=encoder("pixels", **form))


class OfGrades(Solved):
    """A grade an image."""

    name = "ordinal"

    def support(self, dataset: Dataset) -> r.Support:
        """The first images of each grade."""
        return support_of(dataset, goal=f"the grades {', '.join(dataset.labels)}")

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Confusion matrix, and examples, half of them wrong."""
        answers = np.eye(len(dataset.labels))[median_grade(found.decoded)]
        return {
            "confusion": confusion_of(dataset.labels, answers, found.y),
            "examples": examples_of(dataset, found.decoded, answers),
            "examples_note": f"{unseen} Half of those shown are wrong ones where there are as "
            "many: look at the table for how often that happens.",
        }

    def answers(self, out: Path, card: Card) -> AbstractContextManager[AnswerTable]:
        """CSV with a probability for each grade."""
        return written(out, LabelTable(card.labels))


NONE = "no finding"


def support_of_findings(dataset: Dataset) -> r.Support:
    """The first images with each finding, and the first without any."""
    y = dataset.y.numpy()
    columns = [*zip(dataset.labels, y.T, strict=True), (NONE, y.sum(1) == 0)]
    pictures = [
        (int(i), dataset.x[i].numpy(), heading)
        for heading, there in columns
        for i in np.flatnonzero(there)[:SHOWN_A_CLASS]
    ]
    return support_showing(dataset, pictures, goal=f"the findings {', '.join(dataset.labels)}")


def table_of_findings(dataset: Dataset, found: OutOfFold) -> r.Table:
    """Out-of-fold metrics of each finding."""
    scores = [
        aurocs(found.decoded, found.y, found.fold),
        *(score(found.decoded, found.y) for score in (average_precisions, f1_scores)),
    ]
    rows = [
        (label, str(n), *(number(float(score[c])) for score in scores))
        for c, (label, n) in enumerate(dataset.counts().items())
    ]
    columns = ("Finding", "Images with it", "AUROC", "Average precision", f"F1 at {LIKELY}")
    return r.Table("Each finding by itself", columns, tuple(rows))


def finding_examples(
    dataset: Dataset, found: OutOfFold, seed: int = 0
) -> tuple[r.ShownPrediction, ...]:
    """Up to twelve random predictions, half of them wrong if there are as many."""
    true, said = found.y == 1, found.decoded > LIKELY
    return tuple(
        r.ShownPrediction(
            dataset.x[i].numpy(),
            _named(dataset, true[i]),
            _named(dataset, said[i]),
            None,
            patient_of(dataset, i),
            name_of(dataset, i),
        )
        for i in half_wrong((true == said).all(1), seed)
    )


def _named(dataset: Dataset, there: np.ndarray) -> str:
    return "; ".join(dataset.labels[c] for c in np.flatnonzero(there)) or NONE


class OfFindings(Solved):
    """Any number of findings an image."""

    name = "multi-label"

    def support(self, dataset: Dataset) -> r.Support:
        """The first images with each finding, and without any."""
        return support_of_findings(dataset)

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Metrics of each finding, and examples, half of them with a wrong finding."""
        return {
            "tables": (table_of_findings(dataset, found),),
            "examples": finding_examples(dataset, found),
            "examples_note": f"{unseen} Half of those shown are wrong in one finding at least "
            "where there are as many: look at the table for how often that happens.",
        }

    def answers(self, out: Path, card: Card) -> AbstractContextManager[AnswerTable]:
        """CSV with a probability for each finding."""
        return written(out, Findings(card.labels))


PARTS, SHOWN_A_PART = 3, 6
SHOWN_WORST = 6
SHOWN_OTHERS = 6


def support_of_numbers(dataset: Dataset) -> r.Support:
    """The first images of each tercile of the numbers."""
    y = dataset.y[:, 0].numpy()
    pictures = []
    for part in np.array_split(np.argsort(y, kind="stable"), PARTS):
        if len(part):
            heading = f"{y[part].min():.4g} to {y[part].max():.4g}"
            first = sorted(part.tolist())[:SHOWN_A_PART]
            pictures += [(i, dataset.x[i].numpy(), heading) for i in first]
    return support_showing(dataset, pictures, goal=f"to tell the number “{dataset.labels[0]}”")


def scatter_of(found: OutOfFold, name: str) -> r.Scatter:
    """Predictions against targets."""
    return r.Scatter(name, found.y[:, 0], found.decoded[:, 0])


def number_examples(
    dataset: Dataset, found: OutOfFold, seed: int = 0
) -> tuple[r.ShownPrediction, ...]:
    """Worst predictions first, then some others, drawn at random."""
    true, said = found.y[:, 0], found.decoded[:, 0]
    order = np.argsort(-np.abs(said - true), kind="stable")
    rest = np.random.default_rng(seed).permutation(order[SHOWN_WORST:])[:SHOWN_OTHERS]
    return tuple(
        r.ShownPrediction(
            dataset.x[i].numpy(),
            f"{true[i]:.4g}",
            f"{said[i]:.4g}",
            None,
            patient_of(dataset, i),
            name_of(dataset, i),
            exact=False,
        )
        for i in map(int, (*order[:SHOWN_WORST], *rest))
    )


class OfNumbers(Solved):
    """A number an image."""

    name = "regression"

    def support(self, dataset: Dataset) -> r.Support:
        """The first images of each tercile of the numbers."""
        return support_of_numbers(dataset)

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Predictions against targets, and images, the worst first."""
        return {
            "scatter": scatter_of(found, dataset.labels[0]),
            "examples": number_examples(dataset, found),
            "examples_note": f"{unseen} The worst come first, then some others: look at the table "
            "for how well it does in all.",
        }

    def answers(self, out: Path, card: Card) -> AbstractContextManager[AnswerTable]:
        """CSV with the number."""
        del card
        return written(out, Numbers())
