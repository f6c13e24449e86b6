"""Residual ridge against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import toys
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.nn.encoders.identity import AsIs
from medshot.tasks import Enhancement


def rows(x):
    return x.movedim(1, -1).reshape(-1, x.shape[1]).numpy()


def test_it_is_the_ridge_regression_of_what_an_image_lacks():
    episode, penalty = toys.episode(Enhancement(3)), 0.01
    support, query = episode.support, episode.query
    learner = build("residual-ridge", encoder=AsIs(channels=8), penalty=penalty)
    z = np.pad(rows(support.x), ((0, 0), (0, 1)), constant_values=1)
    slow = Ridge(alpha=penalty * len(z), fit_intercept=False)
    slow.fit(z, rows(support.y) - rows(support.x)[:, :3])
    asked = np.pad(rows(query.x), ((0, 0), (0, 1)), constant_values=1)
    expected = rows(query.x)[:, :3] + slow.predict(asked)
    found = learner.adapt(support, episode.task)(query.x)
    np.testing.assert_allclose(rows(found.detach()), expected, atol=1e-4)


def test_a_great_penalty_leaves_the_image_as_it_is():
    episode = toys.episode(Enhancement(3))
    learner = build("residual-ridge", encoder=AsIs(channels=8), penalty=1e9)
    found = learner.adapt(episode.support, episode.task)(episode.query.x)
    torch.testing.assert_close(found.detach(), episode.query.x[:, :3], atol=1e-4, rtol=0)


def test_a_penalty_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="above 0"):
        build("residual-ridge", encoder=AsIs(), penalty=0.0)
