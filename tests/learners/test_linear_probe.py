"""The linear probe against scikit-learn's own probabilities."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import toys
from medshot.learners import build
from medshot.nn import Pixels
from medshot.tasks import Classification


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
