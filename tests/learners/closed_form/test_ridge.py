"""The ridge head against scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import toys
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.nn import Pixels
from medshot.tasks import Classification


def _double(ep):
    like = torch.zeros((), dtype=torch.float64)
    return ep.support.to(like), ep.query.to(like)


def _with_ones(z):
    return np.pad(z.numpy(), ((0, 0), (0, 1)), constant_values=1)


@pytest.mark.parametrize("shots", [1, 5, 100])  # 3, 15 and 300 images of 256 features
def test_scores_are_those_of_scikit_learn(shots):
    ep = toys.episode(Classification(3), shots=shots)
    support, query = _double(ep)
    encoder = Pixels(channels=1, size=toys.SIZE)
    learner = build("ridge", encoder=encoder, penalty=0.7, scale=3.0).double()
    # The intercept is the weight of a column of ones, with the penalty of every other weight.
    z, queries = (
        np.pad(encoder(e.x), ((0, 0), (0, 1)), constant_values=1) for e in (support, query)
    )
    penalty = learner.log_penalty.exp().item() * len(support)
    slow = Ridge(alpha=penalty, fit_intercept=False, solver="svd").fit(z, np.eye(3)[support.y])
    ours = learner.adapt(support, ep.task)(query.x).detach()
    scale = learner.log_scale.exp().item()
    np.testing.assert_allclose(ours, scale * slow.predict(queries), atol=1e-6)
    assert ours.std() > 0.1


def test_images_seen_twice_are_worth_no_more():
    ep = toys.episode(Classification(3))
    learner = build("ridge", encoder=toys.Projection()).double()
    support, query = _double(ep)
    twice = support[torch.arange(len(support)).repeat(2)]
    once, again = (learner.adapt(s, ep.task)(query.x) for s in (support, twice))
    torch.testing.assert_close(again, once)


def test_the_options_are_where_meta_learning_begins():
    learner = build("ridge", encoder=toys.Projection(), penalty=0.25, scale=4.0)
    assert learner.log_penalty.exp().item() == pytest.approx(0.25)
    assert learner.log_scale.exp().item() == pytest.approx(4.0)


def test_meta_loss_is_the_loss_of_adapting_and_predicting():
    ep, learner = toys.episode(Classification(3)), build("ridge", encoder=toys.conv4())
    adapted = ep.task.loss(learner.adapt(ep.support, ep.task)(ep.query.x), ep.query.y)
    torch.testing.assert_close(learner.meta_loss(ep), adapted)


@pytest.mark.parametrize("options", [{"penalty": 0.0}, {"scale": -1.0}])
def test_what_has_no_logarithm_is_refused(options):
    with pytest.raises(ConfigError, match="above 0"):
        build("ridge", encoder=toys.Projection(), **options)
