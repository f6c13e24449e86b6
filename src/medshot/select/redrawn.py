"""How sure the scores of what was tried are, and what is left of the best when luck is taken off.

One set of draws serves all: patients are drawn again, with replacement, within the rarest class
that they have, and the same patients for every candidate, so that differences are paired.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.evaluation.cross_validation import drawn_again
from medshot.evaluation.statistics import Interval
from medshot.select.bench import Bench
from medshot.select.tried import Tried

DRAWS = 500


class Redrawn:
    """The leading metric of candidates that were tried to the end, over patients drawn again."""

    def __init__(self, bench: Bench, tried: Sequence[Tried]) -> None:
        self.metric = bench.task.metrics[bench.task.leading]
        self.evidence = [each.evidence for each in tried if each.evidence is not None]
        self.n = len(np.unique(bench.groups))
        self.mean = [self.metric(*rows) for rows in self.evidence]
        draws = list(drawn_again(bench.groups, bench.strata, DRAWS))
        everyone, classes = np.arange(len(bench.groups)), np.unique(bench.strata)
        missed = [np.setdiff1d(everyone, draw) for draw in draws]
        self._inside = self._scores(draws)
        kept = [np.isin(classes, bench.strata[rows]).all() for rows in missed]
        self._kept = np.array(kept, dtype=bool)  # a class that is not there cannot be scored
        self._outside = self._scores(
            [rows for rows, keep in zip(missed, kept, strict=True) if keep]
        )

    def interval(self, i: int) -> Interval:
        """The score of candidate `i`, with a 95 % interval."""
        return self._around(self.mean[i], self._inside[i])

    def minus(self, i: int, j: int) -> Interval:
        """By how much `i` is better than `j`."""
        return self._around(self.mean[i] - self.mean[j], self._inside[i] - self._inside[j])

    def corrected(self) -> Interval | None:
        """What to expect of the best on new patients; None where nobody can be left out of a draw.

        Source: the bootstrap bias correction of cross-validation, Tsamardinos et al. 2018, Mach.
        Learn. 107, 1895-1922. In each draw the best of those drawn is chosen anew, and scored on
        those that were not drawn: nothing is trained again. Where we differ: patients are drawn,
        within their class, and candidates that were stopped early are left out, as if they
        could not have won.
        """
        if not self._kept.any():
            return None
        best = np.nan_to_num(self._inside[:, self._kept], nan=-np.inf).argmax(0)
        scores = self._outside[best, np.arange(len(best))]
        return self._around(float(np.nanmean(scores)), scores)

    def _scores(self, draws: Sequence[ndarray]) -> Float[ndarray, "candidates draws"]:
        found = [
            [self.metric(*(r[draw] for r in rows)) for draw in draws] for rows in self.evidence
        ]
        return np.array(found, dtype=float).reshape(len(self.evidence), len(draws))

    def _around(self, value: float, drawn: Float[ndarray, "draws"]) -> Interval:
        low, high = np.nanpercentile(drawn, (2.5, 97.5))
        return Interval(value, min(float(low), value), max(float(high), value), self.n)
