"""A report warns where probabilities are too high, and where a simpler learner did better."""

import numpy as np
import pytest

from medshot.api.adapt import with_doubts
from medshot.api.doubts import report_warnings
from medshot.data.load import load_one
from medshot.evaluation.report import Difference, Estimate, Reliability
from toys.commands import picture


def _reliability(confidence, accuracy, count):
    return Reliability(np.array(confidence), np.array(accuracy), np.array(count))


def test_answers_that_are_surer_than_right_are_warned_of():
    (said,) = report_warnings({"reliability": _reliability([0.5, 1.0], [0.5, 0.7], [10, 90])})
    assert "95 % sure on average, and right in 68 %" in said
    assert report_warnings({"reliability": _reliability([0.75], [0.7], [40])}) == []
    assert report_warnings({"reliability": _reliability([0.55], [0.9], [40])}) == [], (
        "too modest is safe"
    )


@pytest.mark.parametrize(("mean", "warned"), [(-0.2, True), (-0.02, False), (0.05, False)])
def test_a_simpler_learner_that_is_better_beyond_chance_is_named(mean: float, warned: bool):
    estimate = Estimate(mean, mean - 0.1, mean + 0.1, 20)
    found = report_warnings(
        {"differences": (Difference("accuracy", "linear-probe on pixels", estimate),)}
    )
    assert [line.startswith("linear-probe on pixels scored higher") for line in found] == (
        [True] * warned
    )
    assert report_warnings({}) == []


def test_what_was_chosen_already_is_no_advice():
    estimate = Estimate(-0.2, -0.3, -0.1, 20)
    measured = {"differences": (Difference("accuracy", "linear-probe on pixels", estimate),)}
    assert report_warnings(measured, "linear-probe on pixels") == []
    assert len(report_warnings(measured, "lda on pixels")) == 1
    assert "select" not in report_warnings(measured)[0]


def test_pictures_that_are_not_read_are_warned_of_by_name(tmp_path):
    for c in range(2):
        home = tmp_path / "ab"[c]
        home.mkdir()
        for i in range(2):
            picture(c, i).save(home / f"{i}.png")
    picture(0, 9).save(tmp_path / "a" / "old.gif")
    dataset = with_doubts(load_one(tmp_path), tmp_path)
    assert any(
        "1 file(s) of the format .gif are not read, first old.gif" in note for note in dataset.notes
    )
