"""Writing and forgetting, against the controller's decisions taken one slot at a time."""

import math

import pytest
import torch
from torch import Tensor

from medshot.learners.memory.addressing import FLOOR
from medshot.learners.memory.meta_memory import Gates, attend


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
    found = attend(likeness, strength)
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
