"""The threshold that a support suggests, against all thresholds tried."""

import numpy as np
import pytest
import torch

from medshot.tasks import Detection
from medshot.tasks.detection import shift

TASK = Detection.of(1)


def test_no_other_shift_has_a_better_f1():
    rng = torch.Generator().manual_seed(0)
    boxes, output = torch.zeros(2, 6, 5), torch.full((2, 3, 24, 24), -5.0)
    for i in range(2):
        for j, cell in enumerate(torch.randperm(36, generator=rng)[:12].tolist()):
            row, column = cell // 6 * 4 + 2, cell % 6 * 4 + 2
            output[i, 0, row, column] = 2 * torch.randn((), generator=rng) + 3 + 2 * (j < 6)
            if j < 6:
                x, y = (column + 0.5) / 24, (row + 0.5) / 24
                boxes[i, j, :4] = torch.tensor([x - 0.05, y - 0.05, x + 0.05, y + 0.05])
    output[:, 1:] = 0
    moved = shift(TASK, output, boxes)
    assert moved.shape == (1,)
    best = _f1(output, boxes, moved.item())
    others = [_f1(output, boxes, by) for by in np.linspace(-6, 6, 121)]
    assert min(others) < best
    assert best == pytest.approx(max(others))


def test_where_nothing_is_found_nothing_is_moved():
    boxes = torch.tensor([[[0.1, 0.1, 0.3, 0.3, 0.0]]])
    assert shift(TASK, torch.full((1, 3, 8, 8), -9.0), boxes).tolist() == [0]


def _f1(output: torch.Tensor, boxes: torch.Tensor, by: float) -> float:
    moved = output + torch.tensor([by, 0, 0])[:, None, None]
    evidence = TASK.evidence(TASK.decode(moved.double()).numpy(), boxes.double().numpy())
    return TASK.metrics["F1"](*evidence)
