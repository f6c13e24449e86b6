"""Learners from features on boxes: sizes in closed form, and squares that are found."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import toys
from medshot.core.errors import TaskError
from medshot.core.predictor import Predictor
from medshot.learners import build
from medshot.learners.at_centres import PENALTY, at_centres
from medshot.nn.centres import Centres
from medshot.nn.features import sites
from medshot.tasks import Detection
from medshot.tasks.box_sites import labelled, mean_sizes
from medshot.tasks.boxes import paint


@pytest.mark.parametrize("name", ["linear-probe", "nearest-centroid", "prototypical"])
def test_squares_are_found_where_they_are(name):
    ep = toys.episode(Detection.of(1), queries=10)
    encoder = torch.nn.AvgPool2d(3, stride=1, padding=1)  # what tells a middle from an edge
    predictor = build(name, encoder=encoder).adapt(ep.support, ep.task)
    assert isinstance(predictor, Centres)
    assert toys.accuracy(predictor, ep.query) > 0.5
    nothing = build(name, encoder=torch.nn.Identity()).adapt(
        toys.episode(Detection.of(1), seed=1).support, ep.task
    )
    shuffled = ep.query.x[:, :, torch.randperm(toys.SIZE)]
    assert toys.accuracy(nothing, toys.Examples(shuffled, ep.query.y)) < 0.3


def test_sizes_are_a_ridge_regression_on_the_features_near_centres():
    rng = torch.Generator().manual_seed(0)
    low = torch.rand(4, 3, 2, generator=rng) * 0.5
    sides = 0.15 + 0.3 * torch.rand(4, 3, 2, generator=rng)
    boxes = torch.cat([low, low + sides, torch.zeros(4, 3, 1)], 2)
    z = torch.randn(4, 5, 32, 32, generator=rng)
    fit = build("prototypical", encoder=torch.nn.Identity()).fit
    found = at_centres(fit, torch.nn.Identity(), z, boxes, Detection.of(1))
    where, label = labelled(boxes, 1, (32, 32))
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
    with pytest.raises(TaskError, match="no head on features"):
        at_centres(fit, torch.nn.Identity(), ep.support.x, ep.support.y, Detection.of(1))
