"""What every learner promises of `adapt` and of the predictor that it gives."""

from dataclasses import replace

import pytest
import torch

import toys

CLOSE = {"atol": 1e-4, "rtol": 1e-3}


@pytest.mark.parametrize("training", [False, True])
def test_adapt_leaves_the_learner_alone_and_can_be_repeated(case, training):
    learner, ep = case
    learner.train(training)
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    first = learner.adapt(ep.support, ep.task)(ep.query.x)
    again = learner.adapt(ep.support, ep.task)(ep.query.x)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    torch.testing.assert_close(dict(learner.state_dict()), before, rtol=0, atol=0)
    assert {module.training for module in learner.modules()} == {training}
    assert all(p.requires_grad and p.grad is None for p in learner.parameters())


def test_adapt_leaves_the_support_alone(case):
    learner, ep = case
    x, y = ep.support.x.clone(), ep.support.y.clone()
    learner.adapt(ep.support, ep.task)
    torch.testing.assert_close((ep.support.x, ep.support.y), (x, y), rtol=0, atol=0)


def test_order_of_the_support_does_not_matter(case):
    learner, ep = _in_float64(*case)  # Adam makes much of the last bits of a float32
    if learner.order_matters:
        pytest.skip("reads the support as a sequence")
    shuffled = ep.support[torch.randperm(len(ep.support))]
    straight = learner.adapt(ep.support, ep.task)(ep.query.x)
    torch.testing.assert_close(learner.adapt(shuffled, ep.task)(ep.query.x), straight, **CLOSE)


def test_memory_layout_does_not_matter(case):
    learner, ep = _in_float64(*case)
    expected = learner.adapt(ep.support, ep.task)(ep.query.x)
    for lay in (_channels_last, _strided):
        support, query = (replace(e, x=lay(e.x)) for e in (ep.support, ep.query))
        output = learner.adapt(support, ep.task)(query.x)
        torch.testing.assert_close(output, expected, **CLOSE)


def test_one_image_gets_the_answer_that_it_gets_among_others(case):
    learner, ep = case
    predictor = learner.adapt(ep.support, ep.task)
    assert predictor.transductive == learner.transductive
    if learner.transductive:
        pytest.skip("transductive: says so on the learner and on the predictor")
    alone = torch.cat([predictor(x[None]) for x in ep.query.x])
    torch.testing.assert_close(alone, predictor(ep.query.x), **CLOSE)


def test_outputs_are_one_row_an_image_and_one_column_an_output(case):
    learner, ep = case
    output = learner.adapt(ep.support, ep.task)(ep.query.x)
    assert output.shape[:2] == (len(ep.query), ep.task.n_outputs)
    assert output.device.type == "cpu"
    assert output.isfinite().all()
    assert ep.task.loss(output, ep.query.y).shape == ()


@pytest.mark.parametrize("k", [2, 7])
def test_any_number_of_classes_works_also_with_one_image_each(case, k):
    learner, ep = case
    other = toys.episode(toys.task_of(ep.task.kind, k), shots=1)
    output = learner.adapt(other.support, other.task)(other.query.x)
    assert output.shape[1] == other.task.n_outputs
    assert output.isfinite().all()


def test_classes_may_have_unequal_numbers_of_images(case):
    learner, ep = case
    if not toys.has_classes(ep.task):
        pytest.skip("no classes")
    few = toys.without(ep.support[3:], 1)  # of three classes
    support = ep.support[:3] + toys.without(few, 2)
    assert ep.task.shows(support.y).sum(0).unique().numel() > 1
    assert learner.adapt(support, ep.task)(ep.query.x).isfinite().all()


def test_adapting_works_without_gradients_and_on_a_learner_that_asks_for_none(case):
    learner, ep = case
    expected = learner.adapt(ep.support, ep.task)(ep.query.x).detach()
    with torch.no_grad():
        without = learner.adapt(ep.support, ep.task)(ep.query.x)
    assert not without.requires_grad
    torch.testing.assert_close(without, expected, **CLOSE)
    still = learner.requires_grad_(False).adapt(ep.support, ep.task)
    torch.testing.assert_close(still(ep.query.x).detach(), expected, **CLOSE)


def _in_float64(learner, ep):
    like = torch.zeros((), dtype=torch.float64)
    return learner.double(), replace(ep, support=ep.support.to(like), query=ep.query.to(like))


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _strided(x: torch.Tensor) -> torch.Tensor:
    every_other = x.repeat_interleave(2, dim=-1)[..., ::2]
    assert not every_other.is_contiguous()
    return every_other
