"""The machine against its steps written out one by one, and what recalling leaves behind."""

import pytest
import torch
from torch import Tensor

from medshot.learners.memory.addressing import FLOOR, NOTHING
from medshot.learners.memory.ntm import ControllerState, NeuralTuringMachine

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
