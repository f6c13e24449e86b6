"""Learners and predictors on the same images, paired; and what a comparison prints as."""

import pytest
import torch

import medshot
import toys
from medshot.core.errors import ConfigError, LeakError
from toys.commands import folder


def _learner(name="nearest-centroid"):
    torch.manual_seed(0)  # the same untrained weights
    return medshot.build(name, encoder=toys.conv4())


def test_learners_are_compared_on_the_same_patients(tmp_path):
    data = medshot.load(folder(tmp_path / "mine"))
    found = medshot.compare({"a": _learner(), "b": _learner("lda"), "a again": _learner()}, data)
    assert list(found.scores) == ["a", "b", "a again"]
    assert found.minus("b").mean == pytest.approx(
        found.interval(name="b").mean - found.interval(name="a").mean
    )
    assert found.differences["a again"].low == found.differences["a again"].high == 0
    assert found.verdicts()[1].endswith("are the same on these images.")
    assert str(found).splitlines()[2].split()[0] == "balanced"
    assert "<th>a again</th>" in found._repr_html_()


def test_a_predictor_stands_beside_a_learner_unless_it_learned_from_the_images(tmp_path):
    old = _learner().adapt(medshot.load(folder(tmp_path / "old")))
    new = folder(tmp_path / "new", first=20)
    found = medshot.compare({"old model": old, "learn anew": _learner()}, new)
    assert set(found.scores) == {"old model", "learn anew"}
    assert found.answers["old model"].folds == 0 < found.answers["learn anew"].folds
    with pytest.raises(LeakError, match="mine learned from"):
        medshot.compare({"mine": old}, tmp_path / "old")


def test_cross_validation_is_what_a_report_says(tmp_path):
    source = folder(tmp_path / "mine")
    found = medshot.cross_validate(source, _learner())
    row = medshot.adapt(source, _learner()).scores["balanced accuracy"]
    assert found.interval("balanced accuracy").mean == row.mean
    assert found.scores["learner"]["balanced accuracy"].low == row.low


def test_names_and_folders_are_models_too(tmp_path):
    new = folder(tmp_path / "new", first=20)
    place = _learner().adapt(medshot.load(folder(tmp_path / "old"))).save(tmp_path / "model")
    found = medshot.evaluate(place, _learner("lda"), data=new)
    assert list(found.answers) == ["model", "model 2"]
    assert found.to_json()["models"]["model 2"]["difference"]
    with pytest.raises(ConfigError, match="Did you mean 'lda'"):
        medshot.evaluate("ldaa", data=new)
    with pytest.raises(ConfigError, match="one model at least"):
        medshot.compare({}, new)
