"""Fast weights against automatic differentiation, and reading them against one weight a query."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from medshot.learners.memory.meta_memory import FastMemory, Kept, attend


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
        attention = attend(likeness, kept.strength)
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
