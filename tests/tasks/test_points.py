"""The task of points: what is a hit, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medshot.core import Card, DataError, PointPrediction
from medshot.data.transforms import ImagePreprocessing
from medshot.tasks import Points
from medshot.tasks.boxes import paint
from medshot.tasks.detection import RARE, TYPICAL

AROUND = torch.tensor([[[0.4, 0.45, 0.6, 0.55, 0], [-0.1, 0.7, 0.1, 0.8, 1]]])  # the second: a rim


def _hits(*centers: tuple[float, float, int, float]) -> np.ndarray:
    claims = np.array([[[x - 0.3, y - 0.3, x + 0.3, y + 0.3, c, s] for x, y, c, s in centers]])
    return Points.of(2).metric_inputs(claims, AROUND.numpy())[2][0, : len(centers)]


def test_a_hit_is_a_center_within_half_the_size_in_pixels() -> None:
    assert _hits((0.59, 0.5, 0, 0.9)).all()  # sizes are 0.2 wide and 0.1 high: a circle of pixels
    assert not _hits((0.61, 0.5, 0, 0.9)).any()
    assert not _hits((0.5, 0.56, 0, 0.9)).any()
    assert not _hits((0.58, 0.54, 0, 0.9)).any()  # in the box, not in the circle
    assert not _hits((0.5, 0.5, 1, 0.9)).any()  # another class
    assert _hits((0.0, 0.75, 1, 0.9)).all()


def test_a_point_is_matched_once() -> None:
    assert _hits((0.5, 0.5, 0, 0.9), (0.51, 0.5, 0, 0.8)).tolist() == [True, False]


def test_a_perfect_output_scores_one_and_is_written_as_centers(tmp_path: Path) -> None:
    task = Points.of(2)
    heat, sizes = paint(AROUND, 2, (64, 64), AROUND)
    logits = heat.clamp(1e-4, 1 - 1e-4).logit() + RARE
    output = torch.cat([logits, (sizes.clamp(min=1e-6) / TYPICAL).log()], 1)
    evidence = task.metric_inputs(task.decode(output).numpy(), AROUND.numpy())
    assert {name: score(*evidence) for name, score in task.metrics.items()} == {
        "AP": 1,
        "FROC": 1,
        "F1": 1,
    }
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((100, 200), np.uint8)).save(path)
    card = Card(task, ("cell", "debris"), ImagePreprocessing(channels=1, size=64), {})
    found = task.to_prediction(output[0], path, card)
    assert isinstance(found, PointPrediction)
    where = dict(zip(found.labels, found.points.tolist(), strict=True))
    assert where["cell"] == pytest.approx([100, 50], abs=2)
    assert found.size == (200, 100)


@pytest.mark.parametrize("wrong", [[1.0, 0.4, 1.2, 0.6, 0], [0.5, 0.5, 0.5, 0.6, 0]])
def test_a_point_outside_or_without_size_is_refused(wrong: list[float]) -> None:
    Points.of(1).check(AROUND[:, :1])
    with pytest.raises(DataError, match="point"):
        Points.of(1).check(torch.tensor([[wrong]]))
