"""The best is taken, and said not to be sure where it is not; else the baseline is kept."""

import numpy as np
import pytest

from medshot.selection import Configuration, choice
from medshot.selection.choice import Choice, TrialResult, chosen_of, through
from medshot.selection.cross_validator import CrossValidator
from toys.candidates import GUESS, LDA, bench, made, noise


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
