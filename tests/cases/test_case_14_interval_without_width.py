"""Six images, all right: the intervals have a width, and so has the difference to the baseline."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medshot
from medshot.evaluation.cross_validation import OutOfFold
from medshot.tasks import Classification


def _left_and_right(place: Path, each: int) -> Path:
    rng = np.random.default_rng(0)
    for label, half in (("left", slice(0, 16)), ("right", slice(16, 32))):
        (place / label).mkdir(parents=True)
        for i in range(each):
            pixels = rng.integers(0, 20, (32, 32))
            pixels[:, half] += 200
            Image.fromarray(pixels.astype(np.uint8)).save(place / label / f"{label}{i}.png")
    return place


def test_six_images_all_right(tmp_path: Path) -> None:
    found = medshot.adapt(
        _left_and_right(tmp_path / "six", 3), "nearest-centroid", encoder="pixels"
    )
    for metric, score in found.scores.items():
        assert (score.mean, score.high) == (1, 1), metric
        assert 0.2 < score.low < 0.7, metric
    for difference in found.report.differences:
        assert difference.estimate.mean == 0
        assert difference.estimate.low < -0.1 < 0.1 < difference.estimate.high
        assert difference.verdict == "not distinguishable"
    assert "1.000 to 1.000" not in found.report.summary


@pytest.mark.parametrize("fold", [None, np.arange(52) % 2])
def test_all_called_the_large_class(fold: np.ndarray | None) -> None:
    y = np.repeat([0, 1], (50, 2))
    sure, unsure = np.tile((0.9, 0.1), (52, 1)), np.tile((0.6, 0.4), (52, 1))
    task, own = Classification(2), np.arange(52)
    one, other = (OutOfFold(p, y, own, 2, task, y, fold) for p in (sure, unsure))
    score = one.interval("balanced accuracy")
    assert score.mean == 0.5
    assert 0.4 < score.low < 0.5
    assert 0.7 < score.high < 0.97
    apart = one.minus(other, "balanced accuracy")
    assert apart.low < -0.1 < 0.1 < apart.high


def test_a_class_of_one_image_is_too_few_for_an_interval() -> None:
    y = np.repeat([0, 1], (5, 1))
    score = OutOfFold(np.eye(2)[y], y, np.arange(6), 0, Classification(2), y)
    assert np.isnan(score.interval("balanced accuracy").low)
    assert score.interval("balanced accuracy").text("balanced accuracy") == "100.0 [-]"
