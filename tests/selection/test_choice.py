"""The best is taken, and said not to be sure where it is not; else the baseline is kept."""

import math

import numpy as np
import pytest
import torch

from medshot.core.errors import TrainingError
from medshot.core.learner import Learner
from medshot.evaluation.cross_validation import drawn_again
from medshot.evaluation.intervals import Sample
from medshot.learners.registry import build
from medshot.selection import Configuration, choice
from medshot.selection.choice import (
    BiasCorrectedBootstrap,
    Choice,
    TrialResult,
    best_of,
    chosen_of,
    through,
)
from medshot.selection.cross_validator import CrossValidator
from medshot.tasks.classification import balanced_accuracy
from toys.candidates import GUESS, LDA, TASK, Guess, bench, made, noise, pixels, some_images


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(choice, "DRAWS", 60)


def _choice(on: CrossValidator, *names: str) -> Choice:
    some = [Configuration(name) for name in names]
    tried = [(one, through(on, lambda one=one: made()(one))) for one in some]
    return chosen_of(on, tried)


def test_what_is_clearly_better_is_taken_and_said_to_be():
    choice = _choice(bench(), GUESS, LDA)
    assert choice.chosen.configuration.name == LDA
    assert choice.sure
    assert choice.verdict == f"It is better than {GUESS}."
    assert choice.corrected is not None
    assert choice.baseline.minus is None


def test_nothing_better_keeps_the_baseline():
    choice = _choice(bench(), LDA, GUESS)
    assert choice.chosen is choice.baseline
    assert choice.verdict == f"No candidate did better than {LDA}: it is kept."
    assert not choice.sure


def test_what_may_be_luck_is_said():
    on = noise()
    answers = through(on, lambda: made()(Configuration(GUESS)))
    assert answers.evidence is not None
    guesses, y = (rows.copy() for rows in answers.evidence)
    guesses[np.flatnonzero(y == 1)[0]] = (0.4, 0.6)  # one more is right, by luck
    luckier = TrialResult({"balanced accuracy": 0.55}, 0.1, evidence=(guesses, y))
    choice = chosen_of(on, [(Configuration(GUESS), answers), (Configuration(LDA), luckier)])
    assert choice.chosen.configuration.name == LDA
    assert not choice.sure
    assert "not distinguishable from toy-guess" in choice.verdict


def test_what_was_not_tried_to_the_end_has_a_row_and_no_score():
    on = bench()
    whole = through(on, lambda: made()(Configuration(GUESS)))
    cut = TrialResult({"balanced accuracy": 1.0}, 0.1, "no time left after 1 of 5 folds")
    choice = chosen_of(on, [(Configuration(GUESS), whole), (Configuration(LDA), cut)])
    assert choice.chosen is choice.baseline
    assert choice.rows[1].score is choice.rows[1].minus is None


# Intervals and the correction for having chosen, against slow loops and against the truth.


def _guessing(tried: CrossValidator, count: int, seed: int) -> list[TrialResult]:
    """Candidates that know nothing: each answers at random."""
    rng = np.random.default_rng(seed)
    y = tried.strata
    return [TrialResult({}, 0.0, evidence=(rng.random((len(y), 2)), y)) for _ in range(count)]


def test_it_is_what_a_slow_loop_finds():
    tried = bench()
    some = _guessing(tried, 3, 0)
    found = BiasCorrectedBootstrap(tried, some)
    outside = []
    for draw in drawn_again(tried.groups, tried.strata, 60):
        scores = [balanced_accuracy(*(rows[draw] for rows in t.evidence)) for t in some]
        left = [i for i in range(20) if i not in set(draw.tolist())]
        winner = some[int(np.argmax(scores))]
        if len(set(tried.strata[left].tolist())) == 2:
            outside.append(balanced_accuracy(*(rows[left] for rows in winner.evidence)))
    corrected = found.corrected()
    assert corrected is not None
    assert corrected.mean == pytest.approx(np.mean(outside))
    samples = [Sample(t.evidence, tried.groups, tried.strata, TASK, tried.fold) for t in some]
    assert found.minus(2, 0) == samples[2].minus(samples[0], "balanced accuracy")
    assert corrected.low < corrected.mean < corrected.high
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
    assert found.minus(1, 0).low > 0.1


def test_two_patients_a_class_may_leave_too_few_out():
    examples = some_images(2)
    tried = CrossValidator(lambda encoder: examples.x, examples.y, torch.arange(4), TASK)
    found = BiasCorrectedBootstrap(tried, _guessing(tried, 2, 0))
    assert found.corrected() is None or 0 <= found.corrected().mean <= 1
    module_draws = list(drawn_again(tried.groups, tried.strata, 60))
    assert len(module_draws) == 60


# A candidate that fails or is stopped is a row with its reason; the best of the others wins.


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
