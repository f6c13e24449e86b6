"""The support read as a sequence, and queries that leave no trace."""

from dataclasses import replace

import pytest
import torch

import toys
from medshot.core.episode import Episode
from medshot.core.errors import ConfigError, TaskError
from medshot.core.learner import Learner
from medshot.learners import build
from medshot.tasks import Classification

SMALL = {"slots": 9, "width": 4, "heads": 2, "hidden": 5, "way": 4}


def _episode(k: int = 3, **options: int) -> Episode:
    return toys.episode(Classification(k), **options)


def test_meta_loss_is_the_loss_of_adapting_and_predicting():
    ep, learner = _episode(), build("ntm", encoder=toys.conv4())
    adapted = ep.task.loss(learner.adapt(ep.support, ep.task)(ep.query.x), ep.query.y)
    torch.testing.assert_close(learner.meta_loss(ep), adapted)


def test_an_image_of_the_support_is_known_again():
    ep, learner = _episode(shots=1), build("ntm", encoder=toys.Projection())
    predictor = learner.adapt(ep.support, ep.task)
    assert predictor(ep.support.x).argmax(1).tolist() == ep.support.y.tolist()


def test_the_order_of_the_support_is_read():
    ep, learner = _episode(), build("ntm", encoder=toys.Projection())
    turned = ep.support[torch.arange(len(ep.support)).flip(0)]
    straight, other = (learner.adapt(s, ep.task)(ep.query.x) for s in (ep.support, turned))
    assert (straight - other).abs().max() > 1e-4


def test_names_of_classes_can_be_exchanged_where_the_controller_sees_no_labels():
    ep, learner = _episode(), build("ntm", encoder=toys.Projection())
    with torch.no_grad():
        learner.machine.key_of_state.weight.zero_()
        learner.machine.gate.weight.zero_()
    other = replace(ep.support, y=(ep.support.y + 1) % 3)
    straight, renamed = (learner.adapt(s, ep.task)(ep.query.x) for s in (ep.support, other))
    torch.testing.assert_close(renamed.roll(-1, dims=1), straight)


def test_a_support_longer_than_the_memory_is_written_over_the_least_used():
    ep, learner = _episode(shots=20), build("ntm", encoder=toys.Projection(), **SMALL)
    predictor = learner.adapt(ep.support, ep.task)
    assert len(predictor.matrix) == 9 < len(ep.support)
    assert predictor(ep.query.x).isfinite().all()


def test_the_gradient_is_exact_while_the_choice_of_slots_stands():
    ep, learner = _in_float64(_episode(), build("ntm", encoder=toys.Projection(), **SMALL))
    learner.meta_loss(ep).backward()
    for parameter in learner.parameters():
        way = torch.randn_like(parameter)
        way /= way.norm()
        slope = (parameter.grad * way).sum()
        torch.testing.assert_close(slope, _difference(learner, ep, parameter, way), **CLOSE)


def test_more_classes_than_codes_are_refused():
    ep, learner = _episode(5), build("ntm", encoder=toys.Projection(), way=4)
    with pytest.raises(TaskError, match=r"4 classes, but the task has 5.*way=5"):
        learner.adapt(ep.support, ep.task)


@pytest.mark.parametrize("heads", [0, 9])
def test_heads_without_a_slot_each_are_refused(heads):
    with pytest.raises(ConfigError, match=f"{heads} heads"):
        build("ntm", encoder=toys.Projection(), slots=8, heads=heads)


def test_nothing_is_compared_in_half_precision():
    ep, learner = _episode(), build("ntm", encoder=toys.Projection())
    exact = learner.meta_loss(ep)
    with torch.autocast("cpu", torch.bfloat16):
        assert learner.adapt(ep.support, ep.task)(ep.query.x).dtype == torch.float32
        torch.testing.assert_close(learner.meta_loss(ep), exact, atol=0.02, rtol=0.02)


CLOSE = {"atol": 1e-8, "rtol": 1e-5}
STEP = 1e-5


def _in_float64(ep: Episode, learner: Learner) -> tuple[Episode, Learner]:
    like = torch.zeros((), dtype=torch.float64)
    return replace(ep, support=ep.support.to(like), query=ep.query.to(like)), learner.double()


@torch.no_grad()
def _difference(
    learner: Learner, ep: Episode, parameter: torch.Tensor, way: torch.Tensor
) -> torch.Tensor:
    """The slope of the meta-loss in the direction `way` of one parameter."""
    parameter += STEP * way
    ahead = learner.meta_loss(ep)
    parameter -= 2 * STEP * way
    behind = learner.meta_loss(ep)
    parameter += STEP * way
    return (ahead - behind) / (2 * STEP)
