"""The search from Python: what is tried first, what is said of it, what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import medshot
import medshot.api.selecting as module
import toys
from app.test_masks import marked
from medshot.api.selecting import FLATTERS, NOTHING, finished, record, select_learner
from medshot.core.errors import ConfigError, DataError
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.factory import WAYS, Builder
from medshot.learners.registry import build
from medshot.presenters import kind_called
from medshot.selection import LearnerFamily, choice
from medshot.selection.choice import TrialResult
from toys.candidates import some_images


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(choice, "DRAWS", 40)


def _dataset(n: int = 6) -> Dataset:
    support = some_images(n)
    return replace(toys.dataset(2, n), x=(support.x * 255).byte(), y=support.y)


def _names(**options: object) -> list[str]:
    found = select_learner(_dataset(), **options)
    assert found.choice is not None
    return [row.configuration.name for row in found.choice.rows]


def test_first_the_baseline_then_what_is_given_then_what_auto_takes_and_what_won_elsewhere():
    mine: Learner = build("nearest-centroid", encoder=toys.conv4())
    names = _names(trials=4, learners={"runs/mine": mine})
    assert names[:2] == ["ImageNet linear probe (baseline)", "runs/mine"]
    simple = [f.name for f in kind_called("classification").families if f.simple]
    assert names[2:] == simple[:2]
    won = module.packaged_table()["classification"].portfolio(module.QUEUE, 6)
    first = [one.name for one in module._first(_dataset(), [])]
    assert first[len(simple) : len(simple) + 2] == [one.name for one in won[:2]]


def test_what_takes_long_comes_late():
    tuned = LearnerFamily("runs/mine", settings=WAYS)
    names = [one.name for one in module._first(_dataset(), [tuned])]
    first_slow = names.index("runs/mine, fine-tuned")
    simple = [f.name for f in kind_called("classification").families if f.simple]
    assert all(names.index(name) < first_slow for name in simple)
    assert names.index("linear-probe on conv4, fine-tuned") > first_slow


def test_a_given_learner_can_be_chosen_fine_tuned():
    mine: Learner = build("nearest-centroid", encoder=toys.conv4())
    found = select_learner(_dataset(), trials=2, learners={"runs/mine": mine})
    (start,) = LearnerFamily("runs/mine", settings=WAYS).starts()
    assert start.words == "finetune=adapter"
    tuned = replace(found, learner=Builder({"runs/mine": mine})(start))
    predictor, _ = finished(tuned, _dataset(), "medshot select x", {})
    assert "finetune" in [stage["stage"] for stage in predictor.known_card().stages]


def test_a_learner_is_chosen_that_can_be_saved_and_is_as_good_as_the_table_says(tmp_path: Path):
    found = select_learner(_dataset(), trials=3)
    choice = found.choice
    assert choice is not None
    assert choice.chosen.tried.scores["balanced accuracy"] > 0.9
    predictor, report = finished(found, _dataset(), "medshot select x", {})
    assert predictor.known_card().stages[-1]["stage"] == "select"
    assert report.tried is not None
    assert len(report.tried.rows) == 3
    assert FLATTERS in report.warnings
    assert "corrected for the choice, expect" in report.summary
    predictor.save(tmp_path / "model")
    form = predictor.known_card().preprocessing
    x = _dataset().at(form.channels, form.size).examples().x
    assert torch.equal(medshot.load_predictor(tmp_path / "model")(x), predictor(x))
    noted = record(found)
    assert [row["why not to the end"] for row in noted["tried"]] == ["", "", ""]
    assert noted["chosen"]["learner"] in str([row["learner"] for row in noted["tried"]])


def test_the_same_folder_goes_on_and_other_images_are_refused(tmp_path: Path):
    first = select_learner(_dataset(), trials=2, folder=tmp_path)
    again = select_learner(_dataset(), trials=2, folder=tmp_path)
    assert first.choice is not None
    assert again.choice is not None
    assert [r.tried.seconds for r in first.choice.rows] == [
        r.tried.seconds for r in again.choice.rows
    ], "read, not tried again"
    with pytest.raises(ConfigError, match="holds a search on other images"):
        select_learner(replace(_dataset(), hash="another"), trials=2, folder=tmp_path)


def test_where_nothing_can_be_left_out_it_is_the_baseline():
    alone = replace(_dataset(), groups=torch.arange(2).repeat(6))
    found = select_learner(alone, trials=3)
    assert found.choice is None
    _, report = finished(found, alone, "", {})
    assert NOTHING in report.summary
    assert report.tried is None
    assert record(found)["chosen"] is None


def test_a_baseline_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch):
    failed = [(None, TrialResult({}, 0.0, "failed: no images"))]
    monkeypatch.setattr(module, "search", lambda *args, **options: failed)
    with pytest.raises(DataError, match=r"Even the simple baseline .* no images"):
        select_learner(_dataset())


@pytest.mark.parametrize("wrong", [{"budget": 0}, {"budget": float("nan")}, {"trials": 0}])
def test_limits_that_cannot_be_are_refused(wrong: dict[str, float]):
    with pytest.raises(ConfigError, match="some time, please"):
        select_learner(_dataset(), **wrong)


def test_masks_are_chosen_for_too(tmp_path: Path):
    masks = load_one(marked(tmp_path / "cells", 8), task="segmentation", size=32)
    found = select_learner(masks, trials=1)
    assert found.choice is not None
    assert found.choice.baseline.configuration.name == "linear-probe on filters (baseline)"
    assert found.choice.corrected is not None
