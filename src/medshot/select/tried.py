"""What came of a candidate, and which of several did best."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medshot.core.learner import Learner
from medshot.select.bench import Bench, Evidence, joined

Stop = Callable[[int, float, float], str]  # folds done, score so far, seconds: why to stop, or ""

FAILURES = (ValueError, RuntimeError, ArithmeticError)  # MedshotError and what solvers raise


@dataclass(frozen=True, eq=False)
class Tried:
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


def through(bench: Bench, build: Callable[[], Learner], stop: Stop = on_and_on) -> Tried:
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
                return Tried(scores, seconds, why)
    except FAILURES as error:
        said = " ".join(str(error).split()) or type(error).__name__
        return Tried(scores, time.monotonic() - started, f"failed: {said}")
    return Tried(scores, time.monotonic() - started, evidence=joined(found))


def best_of(tried: Sequence[Tried]) -> int | None:
    """Which did best by the first metric, then the next, then the order; None if none ended."""
    whole = [i for i, each in enumerate(tried) if each.whole]
    return max(whole, key=lambda i: (*_ranks(tried[i]), -i), default=None)


def _ranks(tried: Tried) -> tuple[float, ...]:
    """Scores, those that are not defined below all others."""
    return tuple(-math.inf if math.isnan(score) else score for score in tried.scores.values())
