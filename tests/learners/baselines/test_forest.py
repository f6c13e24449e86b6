"""Random forest of pixels."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from medshot.core import ConfigError
from medshot.core.episode import Examples
from medshot.learners import build
from medshot.learners.baselines.forest import TreesOfPixels
from medshot.nn.encoder import encoder
from medshot.nn.heads import sites
from medshot.tasks import Segmentation

SIDE = 24


def test_votes_are_those_of_scikit_learn():
    support, filters = disks(3), encoder("filters", size=SIDE)
    predictor = build("forest", encoder=filters, trees=12, pixels=10**6).learn(support, TASK)
    order = support.x.flatten(1).double().mean(1).argsort(stable=True)
    forest = RandomForestClassifier(12, min_samples_leaf=4, random_state=0)
    forest.fit(sites(filters(support.x[order])).numpy(), support.y[order].flatten().numpy())
    query = disks(1, seed=5)
    votes = forest.predict_proba(sites(filters(query.x)).numpy())
    found = sites(predictor(query.x).softmax(1)).numpy()
    assert np.allclose(found, votes, atol=1e-3)


def test_rare_class_is_sampled_as_often_and_weighed_by_what_it_fills():
    support, query = disks(4, radius=3), disks(4, seed=9, radius=3)
    predictor = build("forest", encoder=encoder("filters", size=SIDE), pixels=200).adapt(
        support, TASK
    )
    assert isinstance(predictor, TreesOfPixels)
    there = (support.y == 1).double().mean()
    assert predictor.prior[1] == pytest.approx(float(there / 0.5), rel=0.05)
    found = predictor(query.x).argmax(1)
    assert (found == query.y).float().mean() > 0.97
    assert (found[query.y == 1] == 1).float().mean() > 0.7


def test_pixels_without_a_label_are_not_learned_from():
    support = disks(3)
    wrong = support.y.clone()
    wrong[:, :12] = torch.where(wrong[:, :12] == 1, 0, 1)
    hidden = wrong.clone()
    hidden[:, :12] = -1
    scores = []
    for y in (wrong, hidden):
        learner = build("forest", encoder=encoder("filters", size=SIDE))
        found = learner.adapt(Examples(support.x, y), TASK)(support.x).argmax(1)
        scores.append(float((found == support.y).float().mean()))
    assert scores[1] > 0.95 > scores[0] + 0.1


@pytest.mark.parametrize("option", ["trees", "pixels", "smallest"])
def test_numbers_that_cannot_be(option):
    with pytest.raises(ConfigError, match=option):
        build("forest", encoder=encoder("filters"), **{option: 0})


TASK = Segmentation(2)


def disks(n: int, seed: int = 0, radius: int = 6) -> Examples:
    """Bright disks on noise."""
    rng = torch.Generator().manual_seed(seed)
    grid = torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij"))
    centers = torch.randint(radius, SIDE - radius, (n, 2, 1, 1), generator=rng)
    y = ((grid - centers).square().sum(1) <= radius**2).long()
    x = 0.3 + 0.4 * y + 0.05 * torch.randn(n, SIDE, SIDE, generator=rng)
    return Examples(x.clamp(0, 1)[:, None].repeat(1, 3, 1, 1), y)
