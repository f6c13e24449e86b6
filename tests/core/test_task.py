"""Kinds of task are known by name as soon as they are written."""

import pytest
import torch

import toys
from medshot.core.errors import ConfigError
from medshot.core.task import TASKS, is_fraction, task_of
from medshot.tasks import Classification


def test_a_task_is_found_by_its_kind():
    assert task_of("classification", 4) == Classification(4)
    assert task_of("classification", 4) != Classification(5)


def test_an_unknown_kind_gets_a_suggestion():
    with pytest.raises(ConfigError, match=r"'clasification'. Did you mean"):
        task_of("clasification", 2)


def test_every_kind_is_under_its_own_name():
    assert all(cls.kind == kind for kind, cls in TASKS.items())


def test_a_metric_with_a_unit_is_no_share():
    assert is_fraction("Dice")
    assert not is_fraction("PSNR (dB)")


@pytest.mark.parametrize("kind", sorted(TASKS))
def test_outputs_are_not_apart_from_themselves_and_can_descend_to_others(kind):
    task = toys.task_of(kind)
    sides = (8, 8) if task.on_grid else ()
    other = torch.randn(4, task.n_outputs, *sides)
    output = torch.randn_like(other).requires_grad_()
    assert task.divergence(other, other, 2.0).item() == pytest.approx(0, abs=1e-6)
    apart = task.divergence(output, other, 2.0)
    (slope,) = torch.autograd.grad(apart, output)
    nearer = task.divergence(output - 0.1 * slope / slope.norm(), other, 2.0)
    assert 0 < nearer < apart


def test_answers_of_one_choice_are_apart_as_a_slow_sum_says():
    ours, theirs = torch.randn(5, 3, 2), torch.randn(5, 3, 2)
    p, q = ((t / 4).softmax(1) for t in (ours, theirs))
    slow = sum(float(b * (b / a).log()) for a, b in zip(p.flatten(), q.flatten(), strict=True))
    found = Classification(3).divergence(ours, theirs, 4.0)
    assert found.item() == pytest.approx(16 * slow / 10, rel=1e-4)
    shifted = Classification(3).divergence(ours + 7, theirs, 4.0)
    assert shifted.item() == pytest.approx(found.item(), rel=1e-3)
