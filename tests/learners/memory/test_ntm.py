"""The support read as a sequence, and queries that leave no trace."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import toys
from medshot.core.episode import Episode
from medshot.core.errors import ConfigError, TaskError
from medshot.core.learner import Learner
from medshot.learners import build
from medshot.learners.memory.ntm import (
    FLOOR,
    NOTHING,
    ControllerState,
    NeuralTuringMachine,
    content_weights,
    label_logits,
    least_used,
    normalized_keys,
    usage_after,
    write_weights,
)
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
    with pytest.raises(TaskError, match=r"4 classes.*has 5.*way=5"):
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


# The machine against its steps written out one by one, and what recalling leaves behind.


WAY, SLOTS, WIDTH, HEADS = 4, 9, 5, 2


@pytest.fixture
def machine() -> NeuralTuringMachine:
    return NeuralTuringMachine(6, WAY, SLOTS, WIDTH, HEADS, hidden=7, decay=0.9).double()


def test_writing_is_the_sequence_of_steps_written_out(machine):
    z, y = torch.randn(7, 6).double(), torch.tensor([0, 1, 2, 2, 0, 1, 1])  # 14 rows, 9 slots
    memory, moment = machine.write(z, torch.eye(3).double()[y])
    slow, state, read, label = _slow_write(machine, z, y)
    torch.testing.assert_close(memory, slow)
    torch.testing.assert_close(moment, ControllerState(*state, read, label))


def test_an_answer_is_the_part_of_each_label_in_what_the_heads_read(machine):
    z, y = torch.randn(5, 6).double(), torch.tensor([0, 1, 2, 1, 0])
    memory, moment = machine.write(z, torch.eye(3).double()[y])
    asked = torch.randn(1, 6).double()
    found = machine.recall(asked, memory, *moment)[0]
    weights, _, _ = _slow_look(machine, asked, memory, *moment)
    for c in range(WAY):
        mass = sum(weights[h][s] * memory[s, WIDTH + c] for h in range(HEADS) for s in range(SLOTS))
        assert found[c].item() == pytest.approx(torch.log(mass / HEADS + FLOOR).item())


def test_recalling_writes_nothing(machine):
    z, labels = torch.randn(3, 6).double(), torch.eye(3).double()
    memory, moment = machine.write(z, labels)
    before = [part.clone() for part in (memory, *moment)]
    first = machine.recall(z, memory, *moment)
    torch.testing.assert_close([memory, *moment], before, rtol=0, atol=0)
    torch.testing.assert_close(machine.recall(z.flip(0), memory, *moment).flip(0), first)


def test_the_order_of_examples_moves_the_answer(machine):
    z, labels = torch.randn(4, 6).double(), torch.eye(4).double()
    straight, turned = (
        machine.recall(z, *_flat(machine.write(z[order], labels[order])))
        for order in ([0, 1, 2, 3], [3, 2, 1, 0])
    )
    assert (straight - turned).abs().max() > 1e-4


def test_an_old_slot_nobody_reads_is_zeroed_and_written_anew(machine):
    with torch.no_grad():
        machine.gate.bias.fill_(-50.0)  # always the least used slot
    z = torch.randn(20, 6).double()
    labels = torch.eye(4).double()[torch.arange(20) % 4]
    memory, _ = machine.write(z, labels)
    codes = memory[:, WIDTH:]
    torch.testing.assert_close(codes.sum(1), torch.ones(SLOTS).double())  # one label, not a sum


def _slow_write(machine: NeuralTuringMachine, z: Tensor, y: Tensor) -> tuple:
    memory, usage = torch.zeros(SLOTS, WIDTH + WAY).double(), [0.0] * SLOTS
    state = (torch.zeros(1, 7).double(), torch.zeros(1, 7).double())
    read, label = torch.zeros(1, HEADS * (WIDTH + WAY)).double(), torch.zeros(1, WAY).double()
    for i in range(len(z)):
        weights, keys, state = _slow_look(machine, z[i : i + 1], memory, *state, read, label)
        read = torch.cat([sum(w[s] * memory[s] for s in range(SLOTS)) for w in weights])[None]
        label = torch.eye(WAY).double()[y[i]][None]
        gates = machine.gate(state[0])[0].sigmoid()
        order = sorted(range(SLOTS), key=lambda s: usage[s])
        usage = [0.9 * u for u in usage]
        for h in range(HEADS):
            memory = torch.stack(
                [0 * row if s == order[h] else row for s, row in enumerate(memory)]
            )
        for h in range(HEADS):
            for s in range(SLOTS):
                put = gates[h] * weights[h][s] + (1 - gates[h]) * (s == order[h])
                memory = memory + put * torch.outer(
                    torch.eye(SLOTS).double()[s], torch.cat([keys[h], label[0]])
                )
                usage[s] = usage[s] + (weights[h][s] + put).item()
    return memory, state, read, label


def _slow_look(
    machine: NeuralTuringMachine,
    z: Tensor,
    memory: Tensor,
    hidden: Tensor,
    cell: Tensor,
    read: Tensor,
    label: Tensor,
) -> tuple:
    """Weights and key of each head, and the controller's next state."""
    state = machine.controller(torch.cat([z, label, read], 1), (hidden, cell))
    both = (machine.key_of_features(z) + machine.key_of_state(state[0]))[0]
    weights, keys = [], []
    for h in range(HEADS):
        key = both[h * WIDTH : (h + 1) * WIDTH]
        scores = [
            machine.strength[h] * (key @ row) / _length(key) / _length(row)
            for row in memory[:, :WIDTH]
        ]
        weights.append(torch.stack(scores).exp() / torch.stack(scores).exp().sum())
        keys.append(key)
    return weights, keys, state


def _length(row: Tensor) -> Tensor:
    return (sum(v**2 for v in row) + NOTHING**2) ** 0.5


def _flat(written: tuple) -> tuple:
    memory, moment = written
    return memory, *moment


# Addressing against Santoro's rules written as loops.


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
    alike = normalized_keys(key) @ normalized_keys(torch.cat([full, faint, 0 * key])).T
    assert alike[0].tolist() == pytest.approx([1, 0.1, 0], abs=0.01)


def test_directions_have_a_slope_also_at_nothing():
    rows = torch.zeros(2, 3, requires_grad=True)
    normalized_keys(rows).sum().backward()
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
