"""Learners from features on boxes: sizes in closed form, and squares that are found."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import toys
from medshot.core.episode import Examples
from medshot.core.errors import TaskError
from medshot.core.predictor import Predictor
from medshot.learners import build
from medshot.learners.base import PENALTY, at_centers
from medshot.nn import encoder
from medshot.nn.detectors import Centers
from medshot.nn.heads import sites
from medshot.tasks import Detection
from medshot.tasks.boxes import mean_sizes, paint, site_labels
from toys import disks


@pytest.mark.parametrize("name", ["linear-probe", "nearest-centroid", "prototypical"])
def test_disks_are_found_and_not_by_who_was_told_of_other_places(name):
    support, query = disks.disks(4, seed=0), disks.disks(6, seed=1)
    form = {"channels": 1, "size": disks.SIDE, "scales": [1.0, 2.0, 4.0]}
    learner = build(name, encoder=encoder("filters", **form))
    predictor = learner.adapt(support, disks.TASK)
    assert isinstance(predictor, Centers)
    elsewhere = learner.adapt(Examples(support.x.flip(3), support.y), disks.TASK)
    assert disks.scores(elsewhere, query)["AP50"] < 0.5
    assert disks.scores(predictor, query)["AP50"] > 0.8


def test_sizes_are_a_ridge_regression_on_the_features_near_centres():
    rng = torch.Generator().manual_seed(0)
    low = torch.rand(4, 3, 2, generator=rng) * 0.5
    sides = 0.15 + 0.3 * torch.rand(4, 3, 2, generator=rng)
    boxes = torch.cat([low, low + sides, torch.zeros(4, 3, 1)], 2)
    z = torch.randn(4, 5, 32, 32, generator=rng)
    fit = build("prototypical", encoder=torch.nn.Identity()).fit
    found = at_centers(fit, torch.nn.Identity(), z, boxes, Detection.of(1))
    where, label = site_labels(boxes, 1, (32, 32))
    rows = sites(z)[where[label == 0]].double().numpy()
    targets = sites(paint(boxes, 1, (32, 32), boxes)[1])[where[label == 0]].log()
    left = (targets - mean_sizes(boxes, 1)).double().numpy()
    penalty = PENALTY * ((rows - rows.mean(0)) ** 2).sum() / 5
    expected = Ridge(alpha=penalty).fit(rows, left)
    np.testing.assert_allclose(found.weight, expected.coef_.T, atol=1e-4)
    np.testing.assert_allclose(found.bias, expected.intercept_, atol=1e-4)


def test_what_is_no_head_is_refused():
    ep = toys.episode(Detection.of(1))
    fit = lambda encoder, z, y, task: Predictor()  # noqa: E731
    with pytest.raises(TaskError, match="not a head on features"):
        at_centers(fit, torch.nn.Identity(), ep.support.x, ep.support.y, Detection.of(1))
