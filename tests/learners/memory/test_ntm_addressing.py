"""Addressing against Santoro's rules written as loops."""

import math

import pytest
import torch

from medshot.learners.memory.ntm import (
    FLOOR,
    NOTHING,
    content_weights,
    directions,
    label_logits,
    least_used,
    usage_after,
    write_weights,
)


def test_content_weights_are_a_softmax_of_cosines():
    keys, memory = torch.randn(4, 2, 5).double(), torch.randn(6, 5).double()
    strength = torch.tensor([1.0, 7.0]).double()
    found = content_weights(keys, memory, strength)
    for n in range(4):
        for h in range(2):
            cosines = [_cosine(keys[n, h].tolist(), row.tolist()) for row in memory]
            parts = [math.exp(strength[h].item() * c) for c in cosines]
            slow = [p / sum(parts) for p in parts]
            assert found[n, h].tolist() == pytest.approx(slow, rel=1e-2, abs=1e-4)


def test_a_slot_with_hardly_anything_in_it_resembles_nothing():
    key = torch.randn(1, 5)
    full, faint = key, key / key.norm() * NOTHING / 10
    alike = directions(key) @ directions(torch.cat([full, faint, 0 * key])).T
    assert alike[0].tolist() == pytest.approx([1, 0.1, 0], abs=0.01)


def test_directions_have_a_slope_also_at_nothing():
    rows = torch.zeros(2, 3, requires_grad=True)
    directions(rows).sum().backward()
    torch.testing.assert_close(rows.grad, torch.full((2, 3), 1 / NOTHING))


def test_the_least_used_slots_are_taken_one_a_head_and_the_first_of_equals():
    usage = torch.tensor([0.5, 0.0, 0.3, 0.0, 0.1])
    assert least_used(usage, 1).argmax(1).tolist() == [1]
    assert least_used(usage, 4).argmax(1).tolist() == [1, 3, 4, 2]
    assert least_used(torch.zeros(5), 3).tolist() == torch.eye(5)[:3].tolist()


def test_the_gate_chooses_between_the_slot_just_read_and_the_least_used():
    gate, read = torch.tensor([0.0, 0.25, 1.0]), torch.rand(3, 4)
    least = torch.eye(4)[:3]
    found = write_weights(gate, read, least)
    for h in range(3):
        for s in range(4):
            slow = gate[h] * read[h, s] + (1 - gate[h]) * (1 if s == h else 0)
            assert found[h, s] == pytest.approx(slow.item())


def test_usage_fades_and_grows_by_all_heads():
    usage, read, written = torch.rand(4), torch.rand(2, 4), torch.rand(2, 4)
    found = usage_after(usage, read, written, 0.9)
    for s in range(4):
        slow = 0.9 * usage[s] + sum(read[h, s] + written[h, s] for h in range(2))
        assert found[s] == pytest.approx(slow.item())


def test_label_logits_give_each_class_its_share_of_what_was_read():
    mass = torch.tensor([[0.2, 0.6, 0.0]])
    assert label_logits(mass).softmax(1)[0].tolist() == pytest.approx([0.25, 0.75, 0], abs=1e-4)
    assert label_logits(torch.zeros(1, 2)).tolist() == [[pytest.approx(math.log(FLOOR))] * 2]


def _cosine(a: list[float], b: list[float]) -> float:
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    return dot / math.sqrt(sum(p * p for p in a) * sum(q * q for q in b))
