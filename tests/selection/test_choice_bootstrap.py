"""Intervals and the correction for having chosen, against slow loops and against the truth."""

import numpy as np
import pytest
import torch

from medshot.evaluation.cross_validation import drawn_again
from medshot.selection import choice as module
from medshot.selection.choice import BiasCorrectedBootstrap, TrialResult, through
from medshot.selection.cross_validator import CrossValidator
from medshot.tasks.classification import balanced_accuracy
from toys.candidates import TASK, Guess, bench, pixels, some_images


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "DRAWS", 60)


def _guessing(tried: CrossValidator, count: int, seed: int) -> list[TrialResult]:
    """Candidates that know nothing: each answers at random."""
    rng = np.random.default_rng(seed)
    y = tried.strata
    return [TrialResult({}, 0.0, evidence=(rng.random((len(y), 2)), y)) for _ in range(count)]


def test_it_is_what_a_slow_loop_finds():
    tried = bench()
    some = _guessing(tried, 3, 0)
    found = BiasCorrectedBootstrap(tried, some)
    inside, outside = [], []
    for draw in drawn_again(tried.groups, tried.strata, 60):
        scores = [balanced_accuracy(*(rows[draw] for rows in t.evidence)) for t in some]
        left = [i for i in range(20) if i not in set(draw.tolist())]
        winner = some[int(np.argmax(scores))]
        inside.append(scores)
        if len(set(tried.strata[left].tolist())) == 2:
            outside.append(balanced_accuracy(*(rows[left] for rows in winner.evidence)))
    corrected = found.corrected()
    assert corrected is not None
    assert corrected.mean == pytest.approx(np.mean(outside))
    low, high = np.percentile([row[2] - row[0] for row in inside], (2.5, 97.5))
    minus = found.minus(2, 0)
    assert (minus.low, minus.high) == (
        pytest.approx(min(low, minus.mean)),
        pytest.approx(max(high, minus.mean)),
    )
    assert found.interval(1).mean == balanced_accuracy(*some[1].evidence)


def test_the_luck_of_the_best_of_many_guesses_is_taken_off():
    tried = bench(15)
    best, corrected = [], []
    for seed in range(6):
        found = BiasCorrectedBootstrap(tried, _guessing(tried, 20, seed))
        best.append(max(found.mean))
        corrected.append(found.corrected().mean)
    assert np.mean(best) > 0.64, "the best of twenty guesses looks good"
    assert abs(np.mean(corrected) - 0.5) < 0.06, "and is not"


def test_what_is_really_good_stays_good():
    tried = bench()
    good = through(tried, lambda: __import__("medshot").build("lda", encoder=pixels()))
    found = BiasCorrectedBootstrap(tried, [through(tried, lambda: Guess(pixels())), good])
    assert found.corrected().mean > 0.9
    assert found.minus(1, 0).low > 0.2


def test_two_patients_a_class_may_leave_too_few_out():
    examples = some_images(2)
    tried = CrossValidator(lambda encoder: examples.x, examples.y, torch.arange(4), TASK)
    found = BiasCorrectedBootstrap(tried, _guessing(tried, 2, 0))
    assert found.corrected() is None or 0 <= found.corrected().mean <= 1
    module_draws = list(drawn_again(tried.groups, tried.strata, 60))
    assert len(module_draws) == 60
