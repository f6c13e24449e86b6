"""A predictor hands what was written to the memory that reads it."""

import torch
from torch import nn

import toys
from medshot.core.registry import make, recipe
from medshot.learners.memory.ntm import NeuralTuringMachine
from medshot.nn.heads import MachineRecall, MemoryPredictor


class Nearest(nn.Module):
    """Minus the distance to each row."""

    def recall(self, z: torch.Tensor, rows: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return shift - torch.cdist(z, rows)


def test_what_was_written_is_read_in_its_order_and_moves_with_the_predictor():
    encoder, rows, shift = toys.Projection(), torch.randn(3, 32), torch.randn(3)
    predictor = MemoryPredictor(encoder, Nearest(), rows=rows, shift=shift)
    assert set(dict(predictor.named_buffers())) == {"rows", "shift"}
    x = toys.images(4)
    expected = shift - torch.cdist(nn.functional.normalize(encoder(x), dim=1), rows)
    torch.testing.assert_close(predictor(x), expected)
    assert predictor.double()(x.double()).dtype == torch.float64


def test_it_is_transductive_if_its_encoder_is():
    encoder = toys.conv4(norm="transductive")
    assert MemoryPredictor(encoder, Nearest(), rows=torch.zeros(1, 8)).transductive
    assert not MemoryPredictor(toys.conv4(), Nearest(), rows=torch.zeros(1, 8)).transductive


def test_a_machine_answers_for_the_classes_of_its_task_alone():
    encoder = toys.conv4()
    machine = NeuralTuringMachine(8, way=5, slots=6, width=3, heads=2, hidden=4, decay=0.9)
    z = nn.functional.normalize(encoder(toys.images(3)), dim=1)
    matrix, moment = machine.write(z, torch.eye(3))
    predictor = MachineRecall(encoder, machine, matrix, *moment, k=3)
    x = toys.images(2)
    whole = MemoryPredictor(encoder, machine, matrix=matrix, **moment._asdict())(x)
    assert whole.shape == (2, 5)
    torch.testing.assert_close(predictor(x), whole[:, :3])
    assert make(recipe(predictor)).k == 3
