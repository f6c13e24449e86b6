"""One step, against its formula and against the Adversarial Robustness Toolbox."""

import pytest
import torch
import torch.nn.functional as F

from medshot.stages.robustness.attacks import FGSM
from medshot.stages.robustness.threat_model import ThreatModel
from medshot.tasks import Classification
from toys.problems import art, learned, loss

TASK = Classification(3)


def test_it_is_the_sign_of_the_gradient():
    predictor, shown = learned(TASK)
    x = shown.x.clone().requires_grad_(True)
    F.cross_entropy(predictor(x), shown.y).backward()
    expected = (shown.x + 0.02 * x.grad.sign()).clamp(0, 1)
    torch.testing.assert_close(FGSM(ThreatModel(0.02))(predictor, TASK, shown), expected)


@pytest.mark.parametrize(
    "budget", [ThreatModel(4 / 255), ThreatModel(0.5, "l2")], ids=lambda b: b.norm
)
def test_its_loss_is_that_of_a_known_library(monkeypatch, tmp_path, budget):
    predictor, shown = learned(TASK)
    classifier = art(monkeypatch, tmp_path, predictor, TASK.n_outputs)
    from art.attacks.evasion import FastGradientMethod  # noqa: PLC0415

    norm = "inf" if budget.norm == "linf" else 2
    theirs = FastGradientMethod(classifier, norm=norm, eps=budget.epsilon)
    x = torch.from_numpy(theirs.generate(shown.x.numpy(), shown.y.numpy()))
    expected = loss(predictor, TASK, x, shown.y)
    found = loss(predictor, TASK, FGSM(budget)(predictor, TASK, shown), shown.y)
    assert expected > 1.05 * loss(predictor, TASK, shown.x, shown.y)
    assert found == pytest.approx(expected, rel=0.01)
