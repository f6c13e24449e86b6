"""Estimates of time, said before the work."""

import re
from pathlib import Path

import pytest
import torch

import medshot
from medshot.api import cost as costs
from medshot.api.cost import cost, fits, within
from medshot.api.resolve import describe
from medshot.core.errors import ConfigError
from medshot.data.load import load_one
from medshot.factory import finetuned
from medshot.learners.registry import build
from medshot.selection import Auto
from medshot.stages.finetune import AutoTuned
from toys import conv4
from toys.commands import folder
from toys.textures import small


def test_auto_moves_a_mobilenet_and_says_first_what_it_costs(tmp_path: Path) -> None:
    tuned = finetuned(build("linear-probe", encoder=small(5)), "auto")
    assert isinstance(tuned, AutoTuned)
    assert describe(tuned) == "linear-probe on mobilenet, fine-tuned where that helps"
    dataset = load_one(folder(tmp_path / "a", (3, 3)), channels=3, size=32)
    told = cost(tuned, dataset).said
    assert told.startswith("fine-tuning takes about ")
    assert "on 6 images; with cross-validation about " in told
    assert cost(build("lda", encoder=conv4()), dataset).said == ""
    alone = load_one(folder(tmp_path / "b", (1, 1)), channels=3, size=32)
    assert cost(tuned, alone).said == "", "nothing can be left out, so nothing is done"


def test_what_takes_many_steps_is_timed_and_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_one(folder(tmp_path / "a", (3, 3)), channels=1, size=16)
    learner = build("finetune", encoder=conv4(), steps=2000)
    assert fits(learner) == 1
    auto = Auto([build("nearest-centroid", encoder=conv4()), learner], folds=2)
    assert fits(auto) == 1 + 2 * 2
    steps = []
    monkeypatch.setattr(costs, "SHORT", 0)
    monkeypatch.setattr(
        costs, "learn_at_size", lambda each, support, task: steps.append(each.steps)
    )
    before = torch.get_rng_state()
    told = cost(auto, dataset).said
    about = r"learning from 6 images takes about \d+ \w+; with cross-validation about \d+ \w+"
    assert re.fullmatch(about + r" \(--learner nearest-centroid alone takes seconds\)", told)
    assert steps == [1, 11]
    assert learner.steps == 2000
    assert torch.equal(before, torch.get_rng_state())
    monkeypatch.setattr(costs, "SHORT", 1e9)
    assert cost(auto, dataset).said == ""


def test_what_does_not_fit_into_a_budget_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_one(folder(tmp_path / "a", (3, 3)), channels=1, size=16)
    names = ("nearest-centroid", "lda", "ridge")
    auto = Auto([build(name, encoder=conv4()) for name in names], folds=2)
    seconds = {"nearest-centroid": 1.0, "lda": 100.0, "ridge": 2.0}
    monkeypatch.setattr(costs, "_timed", lambda *_: seconds)
    kept, told = within(auto, dataset, 60.0)
    assert [describe(c).split(" ")[0] for c in kept.candidates] == ["nearest-centroid", "ridge"]
    assert "not within 60 s: lda" in told.said
    kept, told = within(auto, dataset, 1e6)
    assert len(kept.candidates) == 3
    assert "not within" not in told.said
    kept, _ = within(auto, dataset, 0.1)
    assert len(kept.candidates) == 1, "the first is never left out"


def test_a_single_candidate_is_fitted_once() -> None:
    assert fits(Auto([build("lda", encoder=conv4())], folds=2)) == 1


@pytest.mark.parametrize(
    ("learner", "finetune", "budget"),
    [("lda", None, 60.0), ("auto", "head", 60.0), ("auto", None, 0.0)],
)
def test_a_budget_is_for_auto_alone(
    tmp_path: Path, learner: str, finetune: str | None, budget: float
) -> None:
    mine = folder(tmp_path / "a", (2, 2))
    with pytest.raises(ConfigError, match="budget"):
        medshot.adapt(mine, learner, finetune, budget=budget)
