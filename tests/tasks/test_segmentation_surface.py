"""Distances of borders, against all pairs of sites."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from medshot.core.task import task_of
from medshot.tasks import Segmentation
from medshot.tasks.segmentation import mean_surface_distance, surface_distances

SPACING = (2.0, 1.0, 0.5)


def _border(mask: np.ndarray) -> np.ndarray:
    """Sites of a mask with a neighbour, or the end of the volume, outside of it; in mm."""
    padded = np.pad(mask, 1)
    inner = np.ones_like(mask)
    for axis in range(mask.ndim):
        for step in (-1, 1):
            inner &= np.roll(padded, step, axis)[(slice(1, -1),) * mask.ndim]
    return np.argwhere(mask & ~inner) * SPACING


def test_distances_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    claim, truth = rng.integers(0, 3, (2, 2, 5, 6, 7))
    found = surface_distances(claim, truth, 3, SPACING)
    for i in range(2):
        for c in (1, 2):
            apart = cdist(_border(claim[i] == c), _border(truth[i] == c))
            slow = np.concatenate([apart.min(0), apart.min(1)]).mean()
            assert found[i, c] == pytest.approx(slow)
    assert np.isnan(found[:, 0]).all()


def test_a_shifted_box_is_as_far_as_it_was_shifted_along_that_axis():
    truth = np.zeros((1, 9, 9, 9), np.int64)
    truth[0, 2:5] = 1
    found = surface_distances(np.roll(truth, 1, axis=1), truth, 2, SPACING)
    assert 0 < found[0, 1] <= SPACING[0]


def test_what_is_missing_has_no_distance():
    truth = np.ones((1, 3, 3, 3), np.int64)
    found = surface_distances(np.zeros_like(truth), truth, 2, SPACING)
    assert np.isnan(found).all()
    assert np.isnan(mean_surface_distance(found, found, found, found))


def test_a_task_of_known_spacing_measures_it_and_is_read_back():
    task = Segmentation(2, SPACING)
    assert list(task.metrics) == ["Dice", "IoU", "mean surface distance (mm)"]
    assert list(Segmentation(2).metrics) == ["Dice", "IoU"]
    assert task_of("segmentation", 2, spacing=list(SPACING)) == task
    y = torch.zeros(2, 4, 4, 4, dtype=torch.int64)
    y[:, 1:3, 1:3, 1:3] = 1
    output = torch.nn.functional.one_hot(y, 2).movedim(-1, 1).double()
    evidence = task.evidence(task.decode(output).numpy(), y.numpy())
    scores = {metric: score(*evidence) for metric, score in task.metrics.items()}
    assert scores == {"Dice": 1.0, "IoU": 1.0, "mean surface distance (mm)": 0.0}
