"""Fast weights and the gates between them."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import toys
from medshot.core.errors import ConfigError, TaskError
from medshot.learners import build
from medshot.learners.memory.meta_memory import (
    FastMemory,
    FromGradient,
    Gates,
    Kept,
    weighted_softmax,
)
from medshot.learners.memory.ntm import FLOOR
from medshot.tasks import Classification


def test_an_answer_is_what_the_memory_recalls_of_the_support():
    ep, learner = toys.episode(Classification(3)), build("meta-memory", encoder=toys.Projection())
    z, asked = (
        torch.nn.functional.normalize(learner.encoder(x), dim=1) for x in (ep.support.x, ep.query.x)
    )
    expected = learner.memory.recall(asked, *learner.memory.write(z, torch.eye(3)[ep.support.y]))
    torch.testing.assert_close(learner.adapt(ep.support, ep.task)(ep.query.x), expected)


def test_meta_loss_is_the_loss_of_adapting_and_predicting():
    ep, learner = toys.episode(Classification(3)), build("meta-memory", encoder=toys.conv4())
    adapted = ep.task.loss(learner.adapt(ep.support, ep.task)(ep.query.x), ep.query.y)
    torch.testing.assert_close(learner.meta_loss(ep), adapted)


def test_without_fast_weights_the_support_says_nothing():
    ep, learner = (
        toys.episode(Classification(3), shots=1),
        build("meta-memory", encoder=toys.Projection()),
    )
    right = learner.adapt(ep.support, ep.task)(ep.support.x)
    assert right.argmax(1).tolist() == ep.support.y.tolist()
    with torch.no_grad():
        for rule in (learner.memory.hidden_rule, learner.memory.output_rule):
            for parameter in rule.parameters():
                parameter.zero_()
    other = toys.episode(Classification(3), seed=1)
    silent = learner.adapt(ep.support, ep.task)(ep.query.x)
    torch.testing.assert_close(learner.adapt(other.support, ep.task)(ep.query.x), silent)


def test_a_support_larger_than_the_memory_is_forgotten_in_part():
    ep = toys.episode(Classification(3))
    learner = build("meta-memory", encoder=toys.Projection(), slots=4)
    predictor = learner.adapt(ep.support, ep.task)
    assert len(predictor.keys) == len(predictor.strength) == 4 < len(ep.support)
    assert predictor(ep.query.x).isfinite().all()


def test_more_classes_than_slow_weights_are_refused():
    ep = toys.episode(Classification(5))
    learner = build("meta-memory", encoder=toys.Projection(), way=4)
    with pytest.raises(TaskError, match=r"4 classes.*has 5.*way=5"):
        learner.adapt(ep.support, ep.task)


def test_a_memory_without_slots_is_refused():
    with pytest.raises(ConfigError, match="slots is 0"):
        build("meta-memory", encoder=toys.Projection(), slots=0)


def test_nothing_is_compared_in_half_precision():
    ep, learner = toys.episode(Classification(3)), build("meta-memory", encoder=toys.Projection())
    exact = learner.meta_loss(ep)
    with torch.autocast("cpu", torch.bfloat16):
        assert learner.adapt(ep.support, ep.task)(ep.query.x).dtype == torch.float32
        torch.testing.assert_close(learner.meta_loss(ep), exact, atol=0.02, rtol=0.02)


# Fast weights against automatic differentiation, and reading them against one weight a query.


@pytest.fixture
def memory() -> FastMemory:
    return FastMemory(6, way=5, slots=9, width=4).double()


@pytest.fixture
def seen() -> tuple[Tensor, Tensor]:
    return torch.randn(6, 6).double(), torch.eye(3).double()[torch.arange(6) % 3]


def test_fast_weights_of_an_example_are_those_of_its_own_gradient(memory, seen):
    z, labels = seen
    kept = memory.write(z, labels)
    for i in range(6):
        narrow = F.layer_norm(memory.narrow(z[i]), (4,))
        hidden, output = memory.hidden.weight, memory.output.weight
        logits = output[:3] @ torch.tanh(hidden @ narrow)
        loss = F.cross_entropy(logits[None], labels[i].argmax()[None])
        by_hidden, by_output = torch.autograd.grad(loss, [hidden, output])
        torch.testing.assert_close(kept.hidden[i], memory.hidden_rule(by_hidden))
        torch.testing.assert_close(kept.output[i], memory.output_rule(by_output[:3]))


def test_fast_weights_of_the_representation_are_those_of_telling_examples_apart(memory, seen):
    z, labels = seen
    narrow = F.layer_norm(memory.narrow(z), (4,))
    weight = memory.looking.weight.detach().clone().requires_grad_()
    loss = 0.0
    for i in range(6):
        keys = [F.normalize(torch.tanh(weight @ row), dim=0) for row in narrow]
        parts = [(memory.sharpness * (keys[i] @ keys[j])).exp() for j in range(6)]
        same = sum(p for j, p in enumerate(parts) if bool(labels[i] @ labels[j]))
        loss = loss - torch.log(same / sum(parts)) / 6
    (gradient,) = torch.autograd.grad(loss, weight)
    assert gradient.abs().max() > 1e-3
    kept = memory.write(z, labels)
    torch.testing.assert_close(kept.looking, memory.look_rule(gradient))
    for i in range(6):
        key = torch.tanh(weight @ narrow[i]) + torch.tanh(kept.looking @ narrow[i])
        torch.testing.assert_close(kept.keys[i], key / key.norm())


def test_a_query_answers_with_slow_weights_plus_the_fast_ones_that_it_reads(memory, seen):
    kept = memory.write(*seen)
    asked = torch.randn(2, 6).double()
    found = memory.recall(asked, *kept)
    for q in range(2):
        narrow = F.layer_norm(memory.narrow(asked[q]), (4,))
        key = torch.tanh(memory.looking.weight @ narrow) + torch.tanh(kept.looking @ narrow)
        likeness = memory.sharpness * kept.keys @ (key / key.norm())
        attention = weighted_softmax(likeness, kept.strength)
        fast_hidden = sum(attention[i] * kept.hidden[i] for i in range(6))
        fast_output = sum(attention[i] * kept.output[i] for i in range(6))
        h = torch.tanh(memory.hidden.weight @ narrow) + torch.tanh(fast_hidden @ narrow)
        torch.testing.assert_close(found[q], (memory.output.weight[:3] + fast_output) @ h)


def test_only_what_the_gates_keep_is_in_the_memory(seen):
    memory = FastMemory(6, way=5, slots=2, width=4).double()
    kept = memory.write(*seen)
    assert [len(part) for part in (kept.keys, kept.strength, kept.hidden, kept.output)] == [2] * 4
    assert memory.recall(seen[0], *kept).isfinite().all()


def test_fast_weights_are_made_also_where_no_gradient_is_asked_for(memory, seen):
    expected = memory.write(*seen)
    with torch.no_grad():
        without = memory.write(*seen)
    assert not any(part.requires_grad for part in without)
    torch.testing.assert_close(without, Kept(*(part.detach() for part in expected)))


def test_writing_leaves_no_gradient_on_slow_weights(memory, seen):
    memory.write(*seen)
    assert all(p.grad is None for p in memory.parameters())


# Writing and forgetting, against the controller's decisions taken one slot at a time.


@pytest.fixture
def told() -> tuple[Tensor, ...]:
    """Seven examples of three classes: likeness, agreement, news, sharpness."""
    keys, labels = torch.randn(7, 4).double(), torch.eye(3).double()[torch.arange(7) % 3]
    sharpness = torch.tensor(2.0).double()
    return keys @ keys.T, labels @ labels.T, torch.randn(7, 2).double(), sharpness


def _gates(slots: int) -> Gates:
    gates = Gates(slots).double()
    with torch.no_grad():
        for parameter in gates.parameters():
            parameter.add_(torch.randn_like(parameter))
    return gates


@pytest.mark.parametrize("slots", [20, 4, 1])
def test_what_is_held_is_what_the_gates_left_slot_by_slot(told, slots):
    gates = _gates(slots)
    held, strength = gates(*told)
    slow = _slow(gates, slots, *told)
    assert held.tolist() == list(slow)
    assert strength.tolist() == pytest.approx(list(slow.values()))


def test_a_full_memory_loses_its_weakest_slot(told):
    likeness, agreement, news, sharpness = told
    all_held, strength = _gates(20)(likeness, agreement, news, sharpness)
    assert all_held.tolist() == list(range(7))
    gates = Gates(6).double()
    with torch.no_grad():
        gates.forget[2].bias.fill_(-50.0)
    held, strength = gates(likeness, agreement, news, sharpness)
    _, six = gates(likeness[:6, :6], agreement[:6, :6], news[:6], sharpness)
    weakest = six.argmin().item()
    assert held.tolist() == [i for i in range(7) if i != weakest]
    assert strength[:5].tolist() == [s for i, s in enumerate(six.tolist()) if i != weakest]


def test_an_example_can_make_the_memory_forget_what_agrees_with_it(told):
    likeness, agreement, news, sharpness = told
    gates = Gates(20).double()
    with torch.no_grad():
        first, _, last = gates.forget
        first.weight.zero_()
        first.weight[0, 1] = 50.0  # looks at agreement alone
        first.bias.zero_()
        last.weight.zero_()
        last.weight[0, 0], last.bias[:] = 100.0, -50.0
    _, strength = gates(likeness, agreement, news, sharpness)
    assert strength[:4].max() < 1e-6  # another of the class of each came later
    assert strength[4:].min() > 0.1


def test_attention_counts_a_slot_by_its_strength():
    likeness, strength = torch.randn(2, 3), torch.tensor([1.0, 0.5, 0.0])
    found = weighted_softmax(likeness, strength)
    for i in range(2):
        parts = [math.exp(likeness[i, j]) * (strength[j] + FLOOR) for j in range(3)]
        assert found[i].tolist() == pytest.approx([p.item() / sum(parts).item() for p in parts])
    assert found[:, 2].max() < 1e-4


def test_the_gates_learn_from_what_is_held(told):
    gates = _gates(4)
    _, strength = gates(*told)
    strength.square().sum().backward()
    assert all(p.grad.any() for p in gates.parameters())


def _slow(
    gates: Gates,
    slots: int,
    likeness: Tensor,
    agreement: Tensor,
    news: Tensor,
    sharpness: Tensor,
) -> dict[int, float]:
    """The strength of each example that is held."""
    held: dict[int, float] = {}
    for i in range(len(news)):
        total = sum(math.exp(sharpness * likeness[i, j]) * (s + FLOOR) for j, s in held.items())
        known = closest = 0.0
        for j, s in held.items():
            share = math.exp(sharpness * likeness[i, j]) * (s + FLOOR) / total
            known += share * agreement[i, j].item()
            closest += share * likeness[i, j].item()
        seen = torch.tensor([known, closest, *news[i].tolist()]).double()
        written = gates.write(seen).sigmoid().item()
        for j, s in held.items():
            slot = [likeness[i, j].item(), agreement[i, j].item(), s, *news[i].tolist()]
            held[j] = s * (1 - gates.forget(torch.tensor(slot).double()).sigmoid().item())
        if len(held) == slots:
            del held[min(held, key=held.__getitem__)]
        held[i] = written
    return held


# Fast weights of a gradient: a step down it, and the same correction for every number.


def test_every_number_is_a_step_and_a_correction_of_it_alone():
    rule, gradient = FromGradient(rate=0.3), torch.randn(2, 3)
    first, _, last = rule.correction
    found = rule(gradient)
    for i in range(2):
        for j in range(3):
            g = gradient[i, j].item()
            inside = torch.tanh(first.weight[:, 0] * math.asinh(g * math.e**7) / 7 + first.bias)
            slow = -0.3 * g + (last.weight[0] @ inside + last.bias[0]).item()
            assert found[i, j].item() == pytest.approx(slow, abs=1e-5)


def test_the_beginning_is_nearly_one_step_of_gradient_descent():
    gradient = torch.randn(100)
    assert (FromGradient(rate=0.3)(gradient) + 0.3 * gradient).abs().max() < 0.1


def test_numbers_are_told_apart_by_their_logarithm_also_when_tiny():
    rule = FromGradient(rate=0.0)
    with torch.no_grad():
        rule.correction[0].weight.fill_(1e-3)  # tanh is then nearly its argument
        rule.correction[0].bias.zero_()
        rule.correction[2].weight.fill_(1.0)
    one, hundredth, negative = rule(torch.tensor([1.0, 0.01, -1.0])).tolist()
    assert hundredth / one == pytest.approx(1 - math.log(100) / (7 + math.log(2)), abs=0.01)
    assert negative == pytest.approx(-one)
