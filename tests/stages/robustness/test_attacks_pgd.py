"""Many steps, against the Adversarial Robustness Toolbox, and stronger than one."""

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.stages.robustness.attacks import FGSM, PGD
from medshot.stages.robustness.threat_model import ThreatModel
from medshot.tasks import Classification
from toys.problems import TASKS, art, learned, loss

TASK = Classification(3)
BUDGETS = [ThreatModel(4 / 255), ThreatModel(0.5, "l2")]


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda b: b.norm)
def test_its_loss_is_that_of_a_known_library(monkeypatch, tmp_path, budget):
    predictor, shown = learned(TASK)
    classifier = art(monkeypatch, tmp_path, predictor, TASK.n_outputs)
    from art.attacks.evasion import ProjectedGradientDescentPyTorch  # noqa: PLC0415

    rate = budget.epsilon / 4
    theirs = ProjectedGradientDescentPyTorch(
        classifier,
        norm="inf" if budget.norm == "linf" else 2,
        eps=budget.epsilon,
        eps_step=rate,
        max_iter=10,
        num_random_init=0,
        verbose=False,
    )
    x = torch.from_numpy(theirs.generate(shown.x.numpy(), shown.y.numpy()))
    ours = PGD(budget, steps=10, rate=rate, random_start=False)
    expected = loss(predictor, TASK, x, shown.y)
    found = loss(predictor, TASK, ours(predictor, TASK, shown), shown.y)
    assert expected > 1.05 * loss(predictor, TASK, shown.x, shown.y)
    assert found == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda b: b.norm)
@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.kind)
def test_more_steps_are_stronger(task, budget):
    predictor, shown = learned(task)
    task = task.fitted(shown.y)
    attacks = (FGSM(budget), PGD(budget, steps=5), PGD(budget, steps=40))
    one, few, many = (loss(predictor, task, a(predictor, task, shown), shown.y) for a in attacks)
    assert one < few <= 1.001 * many


def test_another_seed_is_another_start():
    predictor, shown = learned(TASK)
    first, other = (PGD(BUDGETS[0], steps=2, seed=s)(predictor, TASK, shown) for s in (0, 1))
    assert not torch.equal(first, other)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"rate": 0.0}, {"rate": float("nan")}])
def test_steps_that_cannot_be(wrong):
    with pytest.raises(ConfigError, match="at least 1 step"):
        PGD(BUDGETS[0], **wrong)
