"""Signs that gradients are masked: then attacks fail, and the predictor is no more robust."""

from collections.abc import Iterator
from itertools import pairwise

from medshot.evaluation.cross_validation import OutOfFold
from medshot.robust.fgsm import FGSM
from medshot.robust.measure import Attacked, Robustness
from medshot.robust.pgd import PGD
from medshot.robust.square import Square

FLAT = 0.05  # of the images: a few that are answered with full confidence have no slope


def signs(found: Robustness) -> list[str]:
    """What ought not to be, a sentence each: none is no proof that gradients are not masked.

    Source: Athalye, Carlini & Wagner 2018, arXiv:1802.00420, list what masked gradients look like:
    one step does better than many, an attack without gradients better than one with them, a larger
    epsilon is no help. Here each is a difference whose interval over patients excludes 0.
    """
    return list(_signs(found))


def _signs(found: Robustness) -> Iterator[str]:
    one, many, blind = found.by(FGSM), found.by(PGD), found.by(Square)
    if one and many:
        usual, most = _at_largest(many)
        yield from _weaker(usual, one[-1])
        if most is not usual:
            yield from _weaker(most, usual)
        for square in blind:
            yield from _weaker(most, square)
    for smaller, larger in pairwise(many):
        if larger.attack.budget.epsilon > smaller.attack.budget.epsilon:
            yield from _weaker(larger, smaller)
    if found.flat is not None and found.flat > FLAT:
        yield (
            f"On {100 * found.flat:.0f} % of the images the loss has no slope at all, so that no "
            "gradient can show the way."
        )


def verdict(found: Robustness) -> str:
    """The same in one line."""
    if not found.by(PGD):
        return (
            "The model passes no gradient: it was attacked by the square attack alone, a weak one."
        )
    if found.flat is None:
        return "Whether gradients are masked was not looked at."
    if signs(found):
        return (
            "Gradients seem masked: what FGSM and PGD leave is more than a better attack would. "
            "Do not rely on these numbers: rely on the lowest, of more --queries and --steps."
        )
    return (
        "No sign of masked gradients: more steps do not attack less, nor does an attack without "
        "gradients do more. That is no proof."
    )


def _at_largest(many: list[Attacked]) -> tuple[Attacked, Attacked]:
    """PGD with the usual steps and with the most, both at the largest epsilon."""
    largest = many[-1].attack.budget
    there = [row for row in many if row.attack.budget == largest]
    return there[0], there[-1]


def _weaker(strong: Attacked, weak: Attacked) -> Iterator[str]:
    """A sentence, if what ought to be the stronger attack leaves more."""
    metric = strong.answers.task.leading
    if strong.answers.minus(weak.answers, metric).low > 0:
        yield (
            f"{_called(strong)} leaves a {metric} of {_value(strong.answers)}, more than "
            f"{_called(weak)}, which leaves {_value(weak.answers)}."
        )


def _called(row: Attacked) -> str:
    return f"{row.attack} ({row.attack.budget})"


def _value(answers: OutOfFold) -> str:
    return f"{answers.interval(answers.task.leading).mean:.3f}"
