"""The contract finds learners that break it, and says which promise."""

import pytest
import torch

import toys
from medshot import Classification
from medshot.core.errors import ConfigError
from medshot.core.task import TASKS
from medshot.learners.base import OnFeatures
from medshot.learners.metric.nearest_centroid import NearestCentroid
from medshot.nn.heads import Linear
from medshot.testing import check_learner
from medshot.testing.learner import CHECKS


class Broken(NearestCentroid):
    """The nearest mean, with something wrong."""

    supports = (Classification,)


class Forgetful(Broken):
    def __init__(self, encoder):
        super().__init__(encoder)
        self.register_buffer("seen", torch.zeros(1))

    def learn(self, support, task):
        self.seen += len(support)
        return super().learn(support, task)


class Greedy(Broken):
    def learn(self, support, task):
        support.x.clamp_(0, 1)
        return super().learn(support, task)


class Sequential(Broken):
    def learn(self, support, task):
        return super().learn(support[len(support) // 3 :], task)


class Binary(OnFeatures):
    supports = (Classification,)

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def fit(self, encoder, z, y, task):
        means = [z[y == c].mean(0) for c in range(3)]
        weight = torch.stack(means, 1)
        return Linear(encoder, weight, weight.new_zeros(3))


def test_a_learner_of_ours_keeps_it_by_name_and_by_class():
    check_learner("nearest-centroid")
    check_learner(Broken, encoder=toys.matrix)


@pytest.mark.parametrize(
    ("learner", "promise"),
    [
        (Forgetful, "`adapt` does not change the learner"),
        (Greedy, "`adapt` does not change the support|deterministic"),
        (Sequential, "The order of the support does not matter"),
        (Binary, "2 and 7 classes work"),
    ],
)
def test_a_broken_promise_is_named(learner, promise):
    with pytest.raises(AssertionError, match=rf"{learner.__name__} on .*({promise})"):
        check_learner(learner)


def test_a_kind_of_task_without_a_toy_needs_episodes(monkeypatch):
    monkeypatch.setattr(Broken, "supports", ())
    with pytest.raises(ConfigError, match="give episodes="):
        check_learner(Broken)
    monkeypatch.setattr(Broken, "supports", (Classification,))
    assert "classification" in TASKS
    check_learner(Broken, episodes=[toys.episode(Classification(3), shots=2)])


def test_a_typo_gets_a_suggestion():
    with pytest.raises(ConfigError, match="'nearest-centroid'"):
        check_learner("nearest-centroids")


def test_each_check_says_what_it_promises():
    assert all(check.__doc__ for check in CHECKS)
