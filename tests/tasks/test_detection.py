"""The task of boxes: what it refuses, its loss by hand, what a perfect output scores."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from medshot.core.errors import DataError, TaskError
from medshot.core.task import Card
from medshot.data.transforms import ImagePreprocessing
from medshot.tasks import Classification, Detection
from medshot.tasks.boxes import paint
from medshot.tasks.detection import RARE, TYPICAL, detection, shift

BOXES = torch.tensor([[[0.1, 0.2, 0.4, 0.5, 0], [0.5, 0.5, 0.9, 0.75, 1]]])


def perfect(boxes: torch.Tensor, k: int, side: int = 32) -> torch.Tensor:
    """The output that says what is there."""
    heat, sizes = paint(boxes, k, (side, side), boxes)
    logits = (heat.clamp(1e-4, 1 - 1e-4)).logit() + RARE
    return torch.cat([logits, (sizes.clamp(min=1e-6) / TYPICAL).log()], 1)


def test_the_perfect_output_is_all_right_and_none_is_nothing():
    task, target = Detection.of(2), BOXES.numpy()
    evidence = task.metric_inputs(task.decode(perfect(BOXES, 2)).numpy(), target)
    scores = {name: score(*evidence) for name, score in task.metrics.items()}
    assert 0.7 < scores.pop("AP") < 1  # centers are rounded to sites
    assert scores == pytest.approx({"AP50": 1, "FROC": 1, "F1": 1})
    low = torch.full((1, 4, 32, 32), -9.0)
    evidence = task.metric_inputs(task.decode(low).numpy(), target)
    assert [score(*evidence) for score in task.metrics.values()] == [0, 0, 0, 0]


def test_the_loss_is_the_papers_formula_site_by_site():
    output, task = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)), Detection(3)
    boxes = BOXES[:, :1]
    heat, sides = paint(boxes, 1, (8, 8), boxes)
    focal = size = 0.0
    for i in range(8):
        for j in range(8):
            p, y = torch.sigmoid(output[0, 0, i, j] - RARE).item(), heat[0, 0, i, j].item()
            if y == 1:
                focal -= (1 - p) ** 2 * math.log(p)
            else:
                focal -= (1 - y) ** 4 * p**2 * math.log(1 - p)
            for axis in range(2):
                side = max(sides[0, axis, i, j].item(), 1e-6)
                log = output[0, 1 + axis, i, j].item() + math.log(TYPICAL)
                size += y * abs(log - math.log(side))
    expected = focal + size / max(1, heat.sum().item())
    assert task.loss(output, boxes).item() == pytest.approx(expected, rel=1e-4)


def test_the_loss_is_least_where_the_output_is_right():
    task = Detection.of(2)
    right = task.loss(perfect(BOXES, 2), BOXES)
    assert right < task.loss(torch.zeros(1, 4, 32, 32), BOXES)
    assert task.loss(torch.zeros(1, 4, 32, 32), torch.full((1, 1, 5), -1.0)).isfinite()


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        (torch.zeros(2, 3), "rows of xmin"),
        (torch.tensor([[[0.4, 0.1, 0.2, 0.3, 0]]]), "xmin < xmax"),
        (torch.tensor([[[0.1, float("nan"), 0.2, 0.3, 0]]]), "xmin < xmax"),
        (torch.tensor([[[10, 10, 20.0, 30, 0]]]), "fractions of"),
        (torch.tensor([[[0.1, 0.1, 0.2, 0.3, 2]]]), "not in 0 ... 1"),
        (torch.tensor([[[0.1, 0.1, 0.2, 0.3, 0]]]), r"Class number\(s\) \[1\] have no box"),
    ],
)
def test_targets_that_cannot_teach_are_refused(boxes: torch.Tensor, words: str):
    with pytest.raises(DataError, match=words):
        Detection.of(2).check(boxes)


def test_boxes_come_in_pixels_of_the_file_from_a_score_of_a_tenth_on(tmp_path):
    file = tmp_path / "wide.png"
    Image.fromarray(np.arange(60 * 20, dtype=np.uint8).reshape(20, 60)).save(file)
    task = Detection.of(2)
    card = Card(task, ("a", "b"), ImagePreprocessing(1, 32), {})
    found = task.to_prediction(perfect(BOXES, 2)[0], file, card)
    order = np.argsort(found.labels)
    assert [found.labels[i] for i in order] == ["a", "b"]
    scale = np.array([60, 20, 60, 20])
    assert np.abs(found.boxes[order] - BOXES[0, :, :4].numpy() * scale).max() < 2
    assert found.size == (60, 20)
    assert len(task.to_prediction(torch.full((4, 32, 32), RARE - 2.3), file, card).boxes) == 0


def test_what_shows_a_class_and_what_is_no_detection():
    assert Detection.of(3).present_classes(BOXES).tolist() == [[True, True, False]]
    with pytest.raises(DataError, match="no class to detect"):
        Detection(2).check(BOXES)
    with pytest.raises(TaskError, match="not classification"):
        detection(Classification(2))


# The threshold that a support suggests, against all thresholds tried.


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
    evidence = TASK.metric_inputs(TASK.decode(moved.double()).numpy(), boxes.double().numpy())
    return TASK.metrics["F1"](*evidence)
