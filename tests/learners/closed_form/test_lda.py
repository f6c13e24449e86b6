"""LDA against scikit-learn, and its shrinkage against Ledoit and Wolf's in scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage as slow_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.inner.closed_form import ledoit_wolf_shrinkage
from medshot.learners import build
from medshot.nn import Pixels
from medshot.tasks import Classification


def _support(n=24, k=3):
    x = torch.rand(n, 1, 4, 4, dtype=torch.float64)
    return Examples(x, torch.arange(k).repeat(n // k))


@pytest.mark.parametrize("shrinkage", [0.1, 0.5, 1.0])
def test_decisions_and_probabilities_are_those_of_scikit_learn(shrinkage):
    support, queries = _support(), torch.rand(30, 1, 4, 4, dtype=torch.float64)
    encoder = Pixels(channels=1, size=4).double()
    predictor = build("lda", encoder=encoder, shrinkage=shrinkage).adapt(support, Classification(3))
    z, zq = (torch.nn.functional.normalize(encoder(x), dim=1).numpy() for x in (support.x, queries))
    slow = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=[1 / 3] * 3)
    slow.fit(z, support.y.numpy())
    ours = predictor(queries).softmax(1).numpy()
    np.testing.assert_allclose(ours, slow.predict_proba(zq), atol=1e-6)


def test_the_shrinkage_is_ledoit_and_wolfs():
    residuals = torch.randn(20, 50, dtype=torch.float64) @ torch.randn(50, 50, dtype=torch.float64)
    residuals -= residuals.mean(0)
    expected = slow_shrinkage(residuals.numpy(), assume_centered=True)
    assert 0.01 < expected < 0.99
    assert float(ledoit_wolf_shrinkage(residuals)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shrinkage", [0.0, -0.1, 1.5])
def test_a_shrinkage_that_leaves_nothing_to_invert_is_refused(shrinkage):
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        build("lda", encoder=Pixels(channels=1, size=4), shrinkage=shrinkage)


def test_one_image_a_class_makes_it_the_nearest_centroid():
    support, queries = _support(n=3), torch.rand(9, 1, 4, 4, dtype=torch.float64)
    encoder = Pixels(channels=1, size=4).double()
    ours, nearest = (
        build(name, encoder=encoder).adapt(support, Classification(3))(queries).softmax(1)
        for name in ("lda", "nearest-centroid")
    )
    assert torch.equal(ours.argmax(1), nearest.argmax(1))
