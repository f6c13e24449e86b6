"""The linear probe against scikit-learn's own probabilities."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import toys
from medshot.core.episode import Examples
from medshot.learners import build
from medshot.learners.base import OnFeatures
from medshot.nn import Pixels
from medshot.nn import encoder as build_encoder
from medshot.tasks import Classification, Segmentation


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("c", [1.0, 100.0])
def test_probabilities_are_those_of_scikit_learn(k, c):
    ep = toys.episode(Classification(k))
    encoder = Pixels(channels=1, size=toys.SIZE)
    predictor = build("linear-probe", encoder=encoder, c=c).adapt(ep.support, ep.task)
    z, queries = (_unit(encoder(x)) for x in (ep.support.x, ep.query.x))
    slow = LogisticRegression(C=c, max_iter=2000).fit(z, ep.support.y.numpy())
    ours = predictor(ep.query.x).softmax(1).numpy()
    # Both stop when the gradient is below 1e-4; ours descends in other coordinates.
    np.testing.assert_allclose(ours, slow.predict_proba(queries), atol=1e-3)
    assert np.ptp(ours[:, 0]) > 0.05


def _unit(z: torch.Tensor) -> np.ndarray:
    features = z.numpy()
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.mark.parametrize("n", [62, 125])
def test_many_sites_are_thinned_without_losing_a_class(n):
    """Whatever the width of the images: a step of so many sites would stay in one column."""
    y = torch.zeros(n, 32, 32, dtype=torch.long)
    y[:, 8:20, 8:20] = 1
    y[0, 30, 30] = 2
    x = torch.zeros(n, 1, 32, 32) + 0.1 * torch.rand(n, 1, 32, 32)
    x += 0.4 * (y[:, None] == 1) + 0.8 * (y[:, None] == 2)
    encoder = build_encoder("filters", channels=1, size=32, scales=[1.0])
    probe = build("linear-probe", encoder=encoder)
    found = probe.adapt(Examples(x, y), Segmentation(3))(x)
    assert found.shape == (n, 3, 32, 32)
    assert (found.argmax(1) == y).float().mean() > 0.95


def test_of_many_masks_a_few_images_are_encoded_at_a_time():
    """Which gives what encoding them all at once gives, and sites of -1 are left out of it."""
    seen = []
    encoder = build_encoder("filters", channels=1, size=128, scales=[1.0])
    encoder.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    x = torch.rand(10, 1, 128, 128)
    y = (x[:, 0] > 0.7).long()
    y[:, :9] = -1
    probe = build("linear-probe", encoder=encoder)
    task = Segmentation(2)
    ours = probe.learn(Examples(x, y), task)
    assert seen == [4, 4, 2]
    at_once = OnFeatures.learn(probe, Examples(x, y), task)
    for name in ("weight", "bias"):
        torch.testing.assert_close(getattr(ours, name), getattr(at_once, name))
