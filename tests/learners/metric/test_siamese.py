"""Verdicts on pairs, and the loss over them, against Koch's formula written as loops."""

from itertools import combinations

import pytest
import torch

import toys
from medshot.core.episode import Episode, Examples
from medshot.learners import build
from medshot.tasks import Classification


@pytest.fixture
def learner():
    """With weights that are no longer all the same."""
    learner = build("siamese", encoder=toys.Projection())
    torch.nn.init.normal_(learner.weight, std=0.1)
    return learner


def test_a_class_scores_the_mean_log_odds_of_its_images(learner):
    ep = toys.episode(Classification(3))
    kept = torch.tensor([0, 1, 2, 3, 6])  # 3 of class 0, one of each other
    assert ep.support.y[kept].tolist() == [0, 1, 2, 0, 0]
    scores = learner.adapt(ep.support[kept], ep.task)(ep.query.x)
    z, known = learner.encoder(ep.query.x), learner.encoder(ep.support.x[kept])
    for i in range(len(ep.query)):
        odds = [_log_odds(learner, z[i], known[j]) for j in range(5)]
        slow = torch.stack([(odds[0] + odds[3] + odds[4]) / 3, odds[1], odds[2]])
        torch.testing.assert_close(scores[i], slow, atol=1e-4, rtol=1e-5)


def test_the_loss_is_the_cross_entropy_over_pairs_half_of_them_of_one_class(learner):
    ep = toys.episode(Classification(2), shots=1, queries=2)
    learner.bias.data.zero_()  # so that no p below is 0 or 1 to the last bit
    images = [*zip(learner.encoder(ep.support.x), ep.support.y, strict=True)]
    images += zip(learner.encoder(ep.query.x), ep.query.y, strict=True)
    same, different = [], []
    for (z, y), (other, label) in combinations(images, 2):
        p = _log_odds(learner, z, other).sigmoid()
        (same if y == label else different).append(-(p if y == label else 1 - p).log())
    assert (len(same), len(different)) == (6, 9)
    slow = torch.stack(same).mean() / 2 + torch.stack(different).mean() / 2
    torch.testing.assert_close(learner.meta_loss(ep), slow, atol=1e-4, rtol=1e-4)


def test_at_first_the_nearest_class_wins():
    ep = toys.episode(Classification(3), shots=1)
    learner = build("siamese", encoder=toys.Projection())
    z, known = learner.encoder(ep.query.x), learner.encoder(ep.support.x)
    nearest = (z[:, None] - known).abs().sum(2).argmin(1)
    assert torch.equal(learner.adapt(ep.support, ep.task)(ep.query.x).argmax(1), nearest)


def test_images_that_are_all_the_same_have_a_finite_loss_and_gradient(learner):
    same = Examples(torch.ones(4, 1, 16, 16), torch.tensor([0, 0, 1, 1]))
    loss = learner.meta_loss(Episode(Classification(2), same, same))
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learner.parameters())


def test_distances_are_not_taken_in_half_precision(learner):
    ep = toys.episode(Classification(3))
    exact = learner.meta_loss(ep)
    with torch.autocast("cpu", torch.bfloat16):
        assert learner.adapt(ep.support, ep.task)(ep.query.x).dtype == torch.float32
        loss = learner.meta_loss(ep)
    torch.testing.assert_close(loss, exact, atol=0.05, rtol=0.05)


def _log_odds(learner, z, other):
    weighed = [a * abs(u - v) for a, u, v in zip(learner.weight, z, other, strict=True)]
    return sum(weighed, learner.bias)
