"""What a report must warn of once answers for images left out are known."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from medshot.evaluation import report as r

TOO_SURE = 0.1  # mean confidence above the share of right answers


def doubts(measured: Mapping[str, Any], chosen: str = "") -> list[str]:
    """Sentences on the fields of a report: too sure, or behind a simpler learner.

    That the learner `chosen`, which the predictor is of, should be taken is no advice.
    """
    found = [*_behind(d for d in measured.get("differences", ()) if d.baseline != chosen)]
    reliability = measured.get("reliability")
    return [*found, *too_sure(reliability)] if reliability is not None else found


def _behind(differences: Iterable[r.Difference]) -> Iterator[str]:
    for difference in differences:
        if difference.estimate.high < 0:
            yield (
                f"{difference.baseline} scored higher on these images. Unless there is another "
                "reason for this learner, take that one."
            )


def too_sure(found: r.Reliability) -> Iterator[str]:
    """A sentence, where answers are surer than they are right."""
    weights = found.count / found.count.sum()
    said, was = float(found.confidence @ weights), float(found.accuracy @ weights)
    if said - was > TOO_SURE:
        yield (
            f"It is surer than it is right: {100 * said:.0f} % sure on average, and right in "
            f"{100 * was:.0f} %. Do not read its probabilities as chances."
        )
