"""Choice among evaluated candidates, with bootstrap bias correction (BBC-CV).

Source: Tsamardinos, Greasidou & Borboudakis 2018. All candidates share the bootstrap draws,
which resample patients with replacement, stratified by their rarest class. The intervals of scores
and of paired differences are those of `medshot.evaluation.intervals`.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from medshot.core import Learner, Table, Tabular
from medshot.evaluation.cross_validation import drawn_again
from medshot.evaluation.intervals import Sample
from medshot.evaluation.statistics import Interval
from medshot.selection.cross_validator import CrossValidator, Evidence, joined
from medshot.selection.space import Configuration

Folds = Sequence[tuple[Tensor, Tensor]]
Stop = Callable[[int, float, float], str]  # (folds done, score, seconds) to a reason, or ""

FAILURES = (ValueError, RuntimeError, ArithmeticError)  # MedshotError and what solvers raise


@dataclass(frozen=True, eq=False)
class TrialResult:
    """Scores of a candidate over all folds, or over some with the reason for stopping.

    `evidence` is None for a candidate that was stopped. `decoded` are its predictions, where they
    were kept.
    """

    scores: dict[str, float]
    seconds: float
    why: str = ""
    evidence: Evidence | None = None
    decoded: ndarray | None = None

    @property
    def whole(self) -> bool:
        """Whether all folds were run, so that the candidate can be chosen."""
        return self.evidence is not None


def on_and_on(folds: int, score: float, seconds: float) -> str:
    """Stopping rule that never stops."""
    del folds, score, seconds
    return ""


def through(
    bench: CrossValidator,
    build: Callable[[], Learner],
    stop: Stop = on_and_on,
    *,
    keep: bool = False,
) -> TrialResult:
    """Cross-validate the learner that `build` returns; `stop` is called between folds.

    A candidate that cannot be built, or that fails, counts as stopped. With `keep`, predictions
    are kept, for `mean_of`.
    """
    started, found, scores = time.monotonic(), [], {}
    kept: list[ndarray] | None = [] if keep else None
    try:
        for done, rows in enumerate(bench.fold_by_fold(build(), kept), 1):
            found.append(rows)
            scores = bench.scores(found)
            seconds = time.monotonic() - started
            left = done < len(bench.folds)
            why = stop(done, scores[bench.task.leading], seconds) if left else ""
            if why:
                return TrialResult(scores, seconds, why)
    except FAILURES as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        return TrialResult(scores, time.monotonic() - started, f"failed: {cause}")
    decoded = np.concatenate(kept) if kept else None
    return TrialResult(scores, time.monotonic() - started, "", joined(found), decoded)


def mean_of(bench: CrossValidator, *tried: TrialResult) -> TrialResult | None:
    """The mean of the predictions of candidates, as a candidate that nothing is fitted for.

    None where the predictions were not kept, or differ in shape.
    """
    decoded = [each.decoded for each in tried if each.decoded is not None]
    if len(decoded) < len(tried) or len({each.shape for each in decoded}) > 1:
        return None
    mean = np.mean(decoded, axis=0)
    rows = bench.task.metric_inputs(mean, bench.truth)
    return TrialResult(bench.scores([rows]), 0.0, "", rows, mean)


def best_of(tried: Sequence[TrialResult]) -> int | None:
    """Index of the best by the leading metric, the next, then order; None if none finished."""
    whole = [i for i, each in enumerate(tried) if each.whole]
    return max(whole, key=lambda i: (*ranks(tried[i]), -i), default=None)


def ranks(tried: TrialResult) -> tuple[float, ...]:
    """Scores, with undefined ones below all others."""
    return tuple(-math.inf if math.isnan(score) else score for score in tried.scores.values())


RULE = (
    "The candidate with the best leading metric in cross-validation by patient is taken; ties go "
    "to the next metric, then to the first tried. The baseline is kept if nothing beats it."
)


@dataclass(frozen=True, eq=False)
class Row:
    """A candidate; its score and the difference to the baseline, if all folds were run."""

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
    """All candidates and the `chosen` one; the first is the baseline.

    `corrected` estimates the chosen candidate's score on new patients: its own score is
    optimistically biased, as the best of many. None if no bootstrap draw leaves out patients of
    every class.
    """

    rows: tuple[Row, ...]
    chosen: Row
    corrected: Interval | None

    @property
    def baseline(self) -> Row:
        """The reference of the differences."""
        return self.rows[0]

    @property
    def sure(self) -> bool:
        """Whether the 95% interval of the difference to the baseline is above 0."""
        return self.chosen.minus is not None and self.chosen.minus.low > 0

    @property
    def verdict(self) -> str:
        """One sentence that compares the choice with the baseline."""
        name = self.baseline.configuration.name
        if self.chosen is self.baseline:
            return f"No candidate did better than {name}: it is kept."
        if self.sure:
            return f"It is better than {name}."
        return f"It is not distinguishable from {name}: the interval of the difference includes 0."


@dataclass(frozen=True, eq=False)
class Selection(Tabular):
    """The chosen learner; `choice` is None if cross-validation was not possible.

    `folds` are those of the search, where it was on all images: the report takes the same, so that
    a learner has one score.
    """

    learner: Learner
    choice: Choice | None
    folds: Folds | None = None

    def table(self) -> Table:
        """Candidates, the best first, and the verdict."""
        if self.choice is None:
            return Table("The simple baseline: no cross-validation was possible.")
        order = sorted(self.choice.rows, key=lambda row: -(row.score.mean if row.score else -1e9))
        best = [self.choice.chosen, *(row for row in order if row is not self.choice.chosen)]
        columns = ("learner", "settings", "score", "minus the baseline")
        return Table(self.choice.verdict, columns, tuple(row.cells() for row in best))


def chosen_of(bench: CrossValidator, tried: Sequence[tuple[Configuration, TrialResult]]) -> Choice:
    """Choose the best of `tried`, of which the first is the baseline and was run on all folds."""
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
    """Bootstrap over patients of the leading metric of finished candidates."""

    def __init__(self, bench: CrossValidator, tried: Sequence[TrialResult]) -> None:
        self.leading = bench.task.leading
        self.metric = bench.task.metrics[self.leading]
        self.evidence = [each.evidence for each in tried if each.evidence is not None]
        self.n = len(np.unique(bench.groups))
        self.samples = [
            Sample(rows, bench.groups, bench.strata, bench.task, bench.fold)
            for rows in self.evidence
        ]
        self.mean = [self.metric(*rows) for rows in self.evidence]
        draws = list(drawn_again(bench.groups, bench.strata, DRAWS))
        everyone, classes = np.arange(len(bench.groups)), np.unique(bench.strata)
        missed = [np.setdiff1d(everyone, draw) for draw in draws]
        self._inside = self._scores(draws)
        kept = [np.isin(classes, bench.strata[rows]).all() for rows in missed]
        self._kept = np.array(kept, dtype=bool)  # draws that can be scored: no class missing
        self._outside = self._scores(
            [rows for rows, keep in zip(missed, kept, strict=True) if keep]
        )

    def interval(self, i: int) -> Interval:
        """Score of candidate `i`, with a 95% interval."""
        return self.samples[i].interval(self.leading)

    def minus(self, i: int, j: int) -> Interval:
        """Paired difference of candidates `i` and `j`."""
        return self.samples[i].minus(self.samples[j], self.leading)

    def corrected(self) -> Interval | None:
        """Bias-corrected score of the best; None if no draw can be scored.

        Source: bootstrap bias-corrected cross-validation, Tsamardinos et al. 2018, Mach. Learn.
        107, 1895-1922. In each draw the best candidate in the sample is scored on the patients
        outside of it, without retraining. Where we differ: patients are resampled, stratified by
        class, and stopped candidates are ignored, as if they could not have won. The interval is
        at least as wide as that of the best, as draws of few patients may all be alike.
        """
        if not self._kept.any():
            return None
        best = np.nan_to_num(self._inside[:, self._kept], nan=-np.inf).argmax(0)
        scores = self._outside[best, np.arange(len(best))]
        value, first = float(np.nanmean(scores)), self.interval(int(np.argmax(self.mean)))
        low, high = np.nanpercentile(scores, (2.5, 97.5))
        least, most = self.samples[0].range(self.leading)
        below, above = first.mean - first.low, first.high - first.mean  # NaN where unknown
        return Interval(
            value,
            float(max(least, np.fmin(low, value - below))),
            float(min(most, np.fmax(high, value + above))),
            self.n,
        )

    def _scores(self, draws: Sequence[ndarray]) -> Float[ndarray, "candidates draws"]:
        found = [
            [self.metric(*(r[draw] for r in rows)) for draw in draws] for rows in self.evidence
        ]
        return np.array(found, dtype=float).reshape(len(self.evidence), len(draws))
