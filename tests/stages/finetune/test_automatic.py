"""Fine-tuning that is kept where images left out say that it helps."""

from dataclasses import replace

import pytest
import torch

import toys
from medshot.core.errors import ConfigError, TaskError
from medshot.core.predictor import load_predictor
from medshot.core.registry import make, recipe
from medshot.learners.registry import build
from medshot.nn.ensemble import Ensemble
from medshot.selection import Auto
from medshot.stages.finetune import AutoTuned
from medshot.stages.finetune.automatic import Verdict
from medshot.tasks import Classification, Regression
from toys.textures import CLASSES, small, textures

TASK = Classification(CLASSES)
SETTINGS = {"blocks": 2, "steps": 4, "lr": 3e-3}


def _tuned(name="linear-probe", **options):
    return AutoTuned(build(name, encoder=small()), **{**SETTINGS, **options})


def _saying(verdict):
    tuned = _tuned()
    tuned.verdict = lambda support, task: verdict
    return tuned


def test_what_is_kept_is_the_mean_of_both():
    support = textures(4)
    tuned = _saying(Verdict(frozen=1.0, tuned=0.9))
    both, alone = tuned.adapt(support, TASK), tuned.learner.adapt(support, TASK)
    assert isinstance(both, Ensemble)
    moved = tuned.pointwise.moved(tuned.encoder, support, CLASSES)
    other = build("linear-probe", encoder=moved).adapt(support, TASK)
    x = textures(3, seed=1).x
    mean = (alone(x).softmax(1) + other(x).softmax(1)) / 2
    torch.testing.assert_close(both(x).softmax(1), mean)


@pytest.mark.parametrize("losses", [(1.0, 1.0), (0.9, 1.0), (float("nan"), float("nan"))])
def test_what_does_not_help_leaves_the_learner_as_it_is(losses):
    tuned, support = _saying(Verdict(*losses)), textures(4)
    alone = tuned.learner.adapt(support, TASK)
    assert torch.equal(tuned.adapt(support, TASK)(support.x), alone(support.x))


def test_the_verdict_is_of_images_that_nothing_was_learned_from():
    tuned, support = _tuned(folds=2), textures(4)
    support = replace(support, groups=torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]))
    found = tuned.verdict(support, TASK)
    losses = torch.zeros(2)
    for rest, held in tuned._folds(support, TASK):
        assert not set(support.groups[rest].tolist()) & set(support.groups[held].tolist())
        alone = tuned.learner.adapt(support[rest], TASK)
        both = tuned.both(alone, support[rest], TASK)
        unseen = support[held]
        losses += len(held) * torch.stack([TASK.loss(p(unseen.x), unseen.y) for p in (alone, both)])
    assert (found.frozen, found.tuned) == pytest.approx((losses / len(support)).tolist(), abs=1e-5)


@pytest.mark.parametrize("groups", [None, torch.tensor([0, 1, 0, 1, 0, 1])])
def test_with_one_patient_a_class_nothing_is_kept_and_it_is_said(groups):
    support = textures(1 if groups is None else 3)
    support, tuned = replace(support, groups=groups), _tuned()
    verdict = tuned.verdict(support, TASK)
    assert not verdict.keeps
    assert "only one patient" in verdict.noted()["why"]
    assert not isinstance(tuned.adapt(support, TASK), Ensemble)
    assert tuned.seconds(support, TASK) == 0


def test_the_same_support_gives_the_same_predictor():
    support, x = textures(6), textures(2, seed=1).x
    first = _tuned().adapt(support, TASK)(x)
    torch.rand(3)
    assert torch.equal(_tuned().adapt(support, TASK)(x), first)


def test_from_a_folder_the_card_says_whether_it_was_kept(tmp_path):
    dataset = toys.dataset(shots=4).at(3, 32)
    for verdict in (Verdict(1.0, 0.5), Verdict(0.5, 1.0), Verdict(why="so it is")):
        found = _saying(verdict).adapt(dataset)
        stage = found.known_card().stages[-1]
        assert (stage["stage"], stage["what"], stage["steps"]) == ("finetune", "auto", 4)
        assert stage["kept"] == verdict.keeps == isinstance(found, Ensemble)
        folder = tmp_path / f"{verdict.frozen}"
        loaded = load_predictor(found.save(folder))
        x = dataset.examples().x
        assert torch.equal(loaded(x), found(x))
        assert loaded.known_card().stages[-1] == stage
    assert stage["why"] == "so it is"


def test_the_time_is_told_before_and_grows_with_the_folds():
    support = textures(6)
    assert 0 < _tuned().seconds(support, TASK) < 60


def test_a_learner_that_chooses_may_choose_what_cannot_move():
    other = build("lda", encoder=toys.conv4())
    tuned, support = AutoTuned(Auto([other])), toys.episode(Classification(3)).support
    verdict = tuned.choose(support, Classification(3)).verdict(support, Classification(3))
    assert "no MobileNet v1" in verdict.why
    assert tuned.seconds(support, Classification(3)) == 0
    alone = other.adapt(support, Classification(3))
    assert torch.equal(tuned.adapt(support, Classification(3))(support.x), alone(support.x))


def test_its_recipe_makes_it_again():
    assert recipe(make(recipe(_tuned(folds=4)))) == recipe(_tuned(folds=4))


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="folds=1"):
        _tuned(folds=1)
    with pytest.raises(TaskError, match="regression: take 'lora'"):
        _tuned().check(Regression(2))
