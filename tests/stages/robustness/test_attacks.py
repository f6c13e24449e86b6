"""What holds for every attack, on every kind of task."""

import pytest
import torch

import toys
from medshot.core.errors import ConfigError, TaskError
from medshot.core.predictor import Predictor
from medshot.stages.robustness.attacks import ATTACKS, FGSM, PGD, Square, attack_called, losses_of
from medshot.stages.robustness.threat_model import ThreatModel
from medshot.tasks import Classification
from toys.problems import TASKS, learned, loss

BUDGETS = [ThreatModel(8 / 255), ThreatModel(1.0, "l2")]
LITTLE = {"pgd": {"steps": 3}, "square": {"queries": 20}}
each = pytest.mark.parametrize("name", ATTACKS)


@each
@pytest.mark.parametrize("budget", BUDGETS, ids=lambda b: b.norm)
@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.kind)
def test_the_loss_rises_within_the_budget_and_the_model_stays(task, budget, name):
    predictor, shown = learned(task)
    task = task.fitted(shown.y)
    predictor.requires_grad_(True).train()
    before = {n: t.clone() for n, t in predictor.state_dict().items()}
    attack = attack_called(name, budget, **LITTLE.get(name, {}))
    found = attack(predictor, task, shown)
    assert loss(predictor, task, found, shown.y) > loss(predictor, task, shown.x, shown.y)
    change = (found - shown.x).flatten(1)
    size = change.abs().max() if budget.norm == "linf" else change.norm(dim=1).max()
    assert 0 < size <= budget.epsilon + 1e-5
    assert found.min() >= 0
    assert found.max() <= 1
    assert not found.requires_grad
    assert predictor.training
    assert all(p.grad is None for p in predictor.parameters())
    assert all(torch.equal(t, before[n]) for n, t in predictor.state_dict().items())
    assert torch.equal(found, attack(predictor, task, shown))


@pytest.mark.parametrize("kind", ["multi-label", "ordinal", "detection", "enhancement"])
def test_every_other_kind_of_task_is_attacked_too(kind):
    task = toys.task_of(kind)
    predictor, shown = learned(task)
    found = PGD(BUDGETS[0], steps=3)(predictor, task, shown)
    assert loss(predictor, task, found, shown.y) > loss(predictor, task, shown.x, shown.y)


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.kind)
def test_one_image_alone_is_attacked_as_among_others(task):
    predictor, shown = learned(task)
    attack = PGD(BUDGETS[0], steps=3, random_start=False)
    among = attack(predictor, task, shown)[2:3]
    alone = attack(predictor, task, shown[2:3])
    assert (among - alone).abs().mean() < 1e-4  # a sign of a gradient near 0 may turn


def test_many_images_go_a_few_at_a_time(monkeypatch):
    task = Classification(3)
    predictor, shown = learned(task)
    attack = FGSM(BUDGETS[0])
    whole = attack(predictor, task, shown)
    monkeypatch.setattr("medshot.stages.robustness.attacks.SITES", 4 * shown.x[0, 0].numel())
    torch.testing.assert_close(attack(predictor, task, shown), whole)
    assert len(attack(predictor, task, shown[:0])) == 0


class Whole(Predictor):
    """Answers in whole numbers: no gradient comes back."""

    def forward(self, x):
        sums = (255 * x).to(torch.int64).flatten(1).sum(1)
        return torch.stack([sums % 7, sums % 3, sums % 5], 1).float()


def test_without_a_gradient_only_the_black_box_attack_goes():
    _, shown = learned(Classification(3))
    for attack in (FGSM(BUDGETS[0]), PGD(BUDGETS[0])):
        with pytest.raises(TaskError, match=r"no gradient .* 'square'"):
            attack(Whole(), Classification(3), shown)
    found = Square(BUDGETS[0], queries=5)(Whole(), Classification(3), shown)
    losses = [losses_of(Classification(3), Whole()(x), shown.y) for x in (shown.x, found)]
    assert (losses[1] >= losses[0]).all()
    assert (losses[1] > losses[0]).any()


def test_images_that_are_not_in_range_are_refused():
    predictor, shown = learned(Classification(3))
    with pytest.raises(ConfigError, match="Divide"):
        FGSM(BUDGETS[0])(predictor, Classification(3), type(shown)(255 * shown.x, shown.y))


def test_an_unknown_attack_gets_a_suggestion():
    with pytest.raises(ConfigError, match="Did you mean 'fgsm'"):
        attack_called("fgms", BUDGETS[0])


@each
def test_it_says_what_it_is(name):
    said = attack_called(name, BUDGETS[0]).describe()
    assert said | {"attack": name, "epsilon": "8/255", "norm": "linf"} == said
