"""Choice among candidates that were tried, with its bootstrap bias correction (BBC-CV).

Source: Tsamardinos, Greasidou & Borboudakis 2018. One set of draws serves all: patients are drawn
again, with replacement, within the rarest class that they have, and the same patients for every
candidate, so that differences are paired.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.core.learner import Learner
from medshot.core.table import Table, Tabular
from medshot.evaluation.cross_validation import drawn_again
from medshot.evaluation.statistics import Interval
from medshot.select.cross_validator import CrossValidator, Evidence, joined
from medshot.select.space import Configuration

Stop = Callable[[int, float, float], str]  # folds done, score so far, seconds: why to stop, or ""

FAILURES = (ValueError, RuntimeError, ArithmeticError)  # MedshotError and what solvers raise


@dataclass(frozen=True, eq=False)
class TrialResult:
    """The scores of a candidate over all folds; or over some, and why it was not tried to the end.

    `evidence` is there if it was.
    """

    scores: dict[str, float]
    seconds: float
    why: str = ""
    evidence: Evidence | None = None

    @property
    def whole(self) -> bool:
        """Whether it went through all folds, so that it can be chosen."""
        return self.evidence is not None


def on_and_on(folds: int, score: float, seconds: float) -> str:
    """Never stop."""
    del folds, score, seconds
    return ""


def through(
    bench: CrossValidator, build: Callable[[], Learner], stop: Stop = on_and_on
) -> TrialResult:
    """Try what `build` makes on all folds of `bench`; `stop` is asked after each but the last.

    A candidate that cannot be made, or that fails, is one that was not tried to the end.
    """
    started, found, scores = time.monotonic(), [], {}
    try:
        for done, rows in enumerate(bench.fold_by_fold(build()), 1):
            found.append(rows)
            scores = bench.scores(found)
            seconds = time.monotonic() - started
            left = done < len(bench.folds)
            why = stop(done, scores[bench.task.leading], seconds) if left else ""
            if why:
                return TrialResult(scores, seconds, why)
    except FAILURES as error:
        said = " ".join(str(error).split()) or type(error).__name__
        return TrialResult(scores, time.monotonic() - started, f"failed: {said}")
    return TrialResult(scores, time.monotonic() - started, evidence=joined(found))


def best_of(tried: Sequence[TrialResult]) -> int | None:
    """Which did best by the first metric, then the next, then the order; None if none ended."""
    whole = [i for i, each in enumerate(tried) if each.whole]
    return max(whole, key=lambda i: (*_ranks(tried[i]), -i), default=None)


def _ranks(tried: TrialResult) -> tuple[float, ...]:
    """Scores, those that are not defined below all others."""
    return tuple(-math.inf if math.isnan(score) else score for score in tried.scores.values())


RULE = (
    "The best by the leading metric on patients left out is taken, of equals the best by the next "
    "metric, then the one tried first. The baseline is kept where nothing is better than it."
)


@dataclass(frozen=True, eq=False)
class Row:
    """A candidate; its score and the difference to the baseline, if it was tried to the end."""

    configuration: Configuration
    tried: TrialResult
    score: Interval | None
    minus: Interval | None

    def cells(self) -> tuple[str, str, str, str]:
        """Learner, settings, score and difference, as text."""
        score = self.score.bracketed() if self.score else self.tried.why
        minus = self.minus.bracketed("+") if self.minus else ""
        return self.configuration.name, self.configuration.words, score, minus


@dataclass(frozen=True, eq=False)
class Choice:
    """All rows, of which `chosen` is taken; the first is the simple baseline.

    `corrected` is what to expect of a choice among so many on new patients: the score of the winner
    flatters, as it is the best of many that were also lucky. None where nobody can be spared.
    """

    rows: tuple[Row, ...]
    chosen: Row
    corrected: Interval | None

    @property
    def baseline(self) -> Row:
        """What the others are compared with."""
        return self.rows[0]

    @property
    def sure(self) -> bool:
        """Whether the 95 % interval of its difference to the baseline is above 0."""
        return self.chosen.minus is not None and self.chosen.minus.low > 0

    @property
    def verdict(self) -> str:
        """The choice against the baseline, in words."""
        name = self.baseline.configuration.name
        if self.chosen is self.baseline:
            return f"Nothing that was tried did better than {name}: it is kept."
        if self.sure:
            return f"It is better than {name}."
        return (
            f"It cannot be told from {name}: the difference may be luck, and the interval of it "
            "holds 0."
        )


@dataclass(frozen=True, eq=False)
class Selection(Tabular):
    """The learner that was chosen, and how: `choice` is None where nothing could be left out."""

    learner: Learner
    choice: Choice | None

    def table(self) -> Table:
        """What was tried, the best first, and the verdict."""
        if self.choice is None:
            return Table("The simple baseline: nothing could be left out to choose by.")
        order = sorted(self.choice.rows, key=lambda row: -(row.score.mean if row.score else -1e9))
        best = [self.choice.chosen, *(row for row in order if row is not self.choice.chosen)]
        columns = ("learner", "settings", "score", "minus the baseline")
        return Table(self.choice.verdict, columns, tuple(row.cells() for row in best))


def chosen_of(bench: CrossValidator, tried: Sequence[tuple[Configuration, TrialResult]]) -> Choice:
    """Take the best of `tried`, of which the first is the baseline and was tried to the end."""
    whole = [i for i, (_, each) in enumerate(tried) if each.whole]
    redrawn = BiasCorrectedBootstrap(bench, [tried[i][1] for i in whole])
    rows = tuple(
        Row(
            *pair,
            redrawn.interval(whole.index(i)) if i in whole else None,
            redrawn.minus(whole.index(i), 0) if i in whole and i else None,
        )
        for i, pair in enumerate(tried)
    )
    best = best_of([each for _, each in tried])
    return Choice(rows, rows[best or 0], redrawn.corrected())


DRAWS = 500


class BiasCorrectedBootstrap:
    """The leading metric of candidates that were tried to the end, over patients drawn again."""

    def __init__(self, bench: CrossValidator, tried: Sequence[TrialResult]) -> None:
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
