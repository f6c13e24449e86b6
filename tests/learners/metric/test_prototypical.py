"""Prototypes and scores against Snell's equations written as loops."""

import pytest
import torch
from torch import nn

import toys
from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.learners.metric.prototypical import DISTANCES
from medshot.tasks import Classification


@pytest.mark.parametrize("distance", DISTANCES)
def test_prototypes_are_class_means_and_scores_minus_distances(distance):
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    learner = build("prototypical", encoder=encoder, distance=distance)
    predictor = learner.adapt(ep.support, ep.task)
    for c in range(3):
        mean = encoder(ep.support.x[ep.support.y == c]).mean(0)
        torch.testing.assert_close(predictor.prototypes[c], mean)
    scores = predictor(ep.query.x)
    for i, z in enumerate(encoder(ep.query.x)):
        for c in range(3):
            squares = (z - predictor.prototypes[c]) ** 2
            slow = {"squared": squares.sum(), "mean-squared": squares.mean()}
            slow["euclidean"] = squares.sum().sqrt()
            torch.testing.assert_close(scores[i, c], -slow[distance], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("distance", DISTANCES)
def test_meta_loss_is_the_loss_of_adapting_and_predicting(distance):
    ep = toys.episode(Classification(3))
    learner = build("prototypical", encoder=toys.conv4(), distance=distance)
    adapted = ep.task.loss(learner.adapt(ep.support, ep.task)(ep.query.x), ep.query.y)
    torch.testing.assert_close(learner.meta_loss(ep), adapted)


def test_a_query_that_is_its_own_prototype_has_a_finite_gradient():
    same = Examples(torch.ones(4, 1, 16, 16), torch.tensor([0, 0, 1, 1]))
    learner = build("prototypical", encoder=toys.Projection(), distance="euclidean")
    learner.meta_loss(Episode(Classification(2), same, same)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learner.parameters())


def test_an_unknown_distance_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'euclidean'"):
        build("prototypical", encoder=toys.Projection(), distance="euclid")


def test_volumes_are_adapted_to_like_slices():
    encoder = nn.Sequential(nn.Conv3d(1, 4, 3), nn.Flatten())
    volumes = Examples(torch.rand(4, 1, 4, 5, 6), torch.tensor([0, 0, 1, 1]))
    predictor = build("prototypical", encoder=encoder).adapt(volumes, Classification(2))
    assert predictor(torch.rand(3, 1, 4, 5, 6)).shape == (3, 2)


def test_distances_are_not_taken_in_half_precision():
    ep = toys.episode(Classification(3))
    learner = build("prototypical", encoder=toys.Projection())
    exact = learner.meta_loss(ep)
    with torch.autocast("cpu", torch.bfloat16):
        assert learner.adapt(ep.support, ep.task)(ep.query.x).dtype == torch.float32
        loss = learner.meta_loss(ep)
    torch.testing.assert_close(loss, exact, atol=0.05, rtol=0.05)
