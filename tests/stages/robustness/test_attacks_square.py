"""Random search never makes it worse for itself, and more of it finds more."""

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.stages.robustness.attacks import Square, losses_of
from medshot.stages.robustness.threat_model import ThreatModel
from medshot.tasks import Classification
from toys.problems import learned

TASK = Classification(3)
BUDGETS = [ThreatModel(8 / 255), ThreatModel(1.0, "l2")]


def _losses(budget, queries):
    predictor, shown = learned(TASK)
    found = Square(budget, queries=queries)(predictor, TASK, shown)
    with torch.no_grad():
        return [losses_of(TASK, predictor(x), shown.y) for x in (shown.x, found)]


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda b: b.norm)
def test_no_loss_falls_and_more_queries_find_more(budget):
    before, few = _losses(budget, 10)
    _, many = _losses(budget, 150)
    assert (few >= before).all()
    assert before.mean() < few.mean() < many.mean()


def test_every_value_goes_all_the_way_or_stays():
    predictor, shown = learned(TASK)
    grey = type(shown)(torch.full_like(shown.x, 0.5), shown.y)
    found = Square(BUDGETS[0], queries=30)(predictor, TASK, grey)
    change = (found - grey.x).abs()
    there = change > 0
    assert there.any()
    torch.testing.assert_close(change[there], torch.full_like(change[there], 8 / 255))


@pytest.mark.parametrize("wrong", [{"queries": 0}, {"share": 0.0}, {"share": 1.5}])
def test_numbers_that_cannot_be(wrong):
    with pytest.raises(ConfigError, match="square attack"):
        Square(BUDGETS[0], **wrong)
