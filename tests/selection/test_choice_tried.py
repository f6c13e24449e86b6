"""A candidate that fails or is stopped is a row with its reason; the best of the others wins."""

import math

import numpy as np
import pytest
import torch

from medshot.core.errors import TrainingError
from medshot.core.learner import Learner
from medshot.learners.registry import build
from medshot.selection.choice import TrialResult, best_of, through
from toys.candidates import Guess, bench, pixels


def _done(*scores: float) -> TrialResult:
    names = ("first", "second")
    return TrialResult(dict(zip(names, scores, strict=True)), 1.0, evidence=(np.zeros(2),))


def test_it_goes_through_all_folds():
    tried = through(bench(), lambda: build("lda", encoder=pixels()))
    assert tried.whole
    assert tried.evidence is not None
    assert len(tried.evidence[0]) == 20
    assert tried.scores["balanced accuracy"] > 0.9
    assert through(bench(), lambda: Guess(pixels())).scores["balanced accuracy"] == 0.5


def test_it_is_stopped_between_folds():
    asked = []

    def stop(folds: int, score: float, seconds: float) -> str:
        asked.append((folds, score))
        assert seconds > 0
        return "enough" if folds == 2 else ""

    tried = through(bench(), lambda: Guess(pixels()), stop)
    assert asked == [(1, 0.5), (2, 0.5)]
    assert (tried.why, tried.whole) == ("enough", False)


@pytest.mark.parametrize("error", [TrainingError("The loss is nan."), torch.linalg.LinAlgError()])
def test_what_fails_is_a_row_with_its_reason(error: Exception):
    def build_one() -> Learner:
        raise error

    tried = through(bench(), build_one)
    assert not tried.whole
    assert tried.why == f"failed: {error}" if str(error) else "failed: LinAlgError"


def test_of_equals_the_next_metric_decides_and_then_the_order():
    assert best_of([_done(0.5, 0.5), _done(0.6, 0.1), _done(0.6, 0.2), _done(0.6, 0.2)]) == 2
    assert best_of([_done(math.nan, 1.0), _done(0.1, 0.0)]) == 1
    stopped = TrialResult({"first": 0.9, "second": 0.9}, 1.0, "no time left")
    assert best_of([stopped, _done(0.1, 0.1)]) == 1
    assert best_of([stopped]) is None
