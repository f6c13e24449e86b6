"""The supervised contrastive loss against Khosla's formula written as loops, and its answers."""

import math

import pytest
import torch

import toys
from medshot.core.episode import Episode
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.nn.layers import supervised_contrast
from medshot.tasks import Classification


def test_the_loss_is_khoslas_over_all_images_of_the_episode():
    ep = toys.episode(Classification(3), shots=2, queries=3)
    learner = build("contrastive", encoder=toys.Projection(), temperature=0.2)
    z = torch.cat([learner.encoder(ep.support.x), learner.encoder(ep.query.x)])
    z = [(row / row.norm()).detach() for row in z]
    slow = _slow_contrast(z, torch.cat([ep.support.y, ep.query.y]).tolist(), 0.2)
    torch.testing.assert_close(learner.meta_loss(ep), slow, atol=1e-5, rtol=1e-5)


def test_an_image_alone_in_its_class_is_contrasted_with_but_is_no_anchor():
    z = torch.nn.functional.normalize(torch.randn(5, 4), dim=1)
    y = [0, 0, 1, 2, 2]
    similarity = z @ z.T / 0.1
    loss = supervised_contrast(similarity, torch.tensor(y))
    torch.testing.assert_close(loss, _slow_contrast(z, y, 0.1))
    kept = torch.tensor([0, 1, 3, 4])
    without = supervised_contrast(similarity[kept][:, kept], torch.tensor(y)[kept])
    assert loss > without + 1e-4


def test_support_and_query_may_change_places():
    ep = toys.episode(Classification(3))
    learner = build("contrastive", encoder=toys.Projection())
    exchanged = Episode(ep.task, ep.query, ep.support)
    torch.testing.assert_close(learner.meta_loss(exchanged), learner.meta_loss(ep))


def test_an_answer_is_the_cosine_with_the_mean_direction_over_the_temperature():
    ep = toys.episode(Classification(3))
    learner = build("contrastive", encoder=toys.Projection(), temperature=0.2)
    scores = learner.adapt(ep.support, ep.task)(ep.query.x)
    known, z = learner.encoder(ep.support.x), learner.encoder(ep.query.x)
    for c in range(3):
        mean = sum(row / row.norm() for row, y in zip(known, ep.support.y, strict=True) if y == c)
        slow = torch.stack([row @ mean / (row.norm() * mean.norm()) / 0.2 for row in z])
        torch.testing.assert_close(scores[:, c], slow, atol=1e-5, rtol=1e-5)


def test_the_temperature_is_learned():
    learner = build("contrastive", encoder=toys.Projection())
    learner.meta_loss(toys.episode(Classification(3))).backward()
    assert learner.log_temperature.grad.abs() > 1e-3


@pytest.mark.parametrize("temperature", [0.0, -0.1])
def test_a_temperature_that_is_not_above_0_is_refused(temperature):
    with pytest.raises(ConfigError, match="must be above 0"):
        build("contrastive", encoder=toys.Projection(), temperature=temperature)


def test_cosines_are_not_taken_in_half_precision():
    ep = toys.episode(Classification(3))
    learner = build("contrastive", encoder=toys.Projection())
    exact = learner.meta_loss(ep)
    with torch.autocast("cpu", torch.bfloat16):
        assert learner.adapt(ep.support, ep.task)(ep.query.x).dtype == torch.float32
        loss = learner.meta_loss(ep)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, atol=0.05, rtol=0.05)


def _slow_contrast(z, y, temperature):
    terms = []
    for i in range(len(y)):
        positives = [p for p in range(len(y)) if p != i and y[p] == y[i]]
        if not positives:
            continue
        against = sum(math.exp(z[i] @ z[a] / temperature) for a in range(len(y)) if a != i)
        logs = [math.log(math.exp(z[i] @ z[p] / temperature) / against) for p in positives]
        terms.append(-sum(logs) / len(positives))
    return torch.tensor(sum(terms) / len(terms))
