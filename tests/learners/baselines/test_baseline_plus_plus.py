"""The cosine classifier against descent written out step by step."""

import torch
from torch.nn.functional import normalize

import toys
from medshot.learners import build
from medshot.tasks import Classification


def test_the_directions_are_those_of_descent_with_damped_momentum_and_decay():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    options = {"scale": 5.0, "lr": 0.3, "steps": 4}
    predictor = build("baseline++", encoder=encoder, **options).adapt(ep.support, ep.task)
    z = normalize(encoder(ep.support.x).detach(), dim=1)
    weight = torch.stack([z[ep.support.y == c].mean(0) for c in range(3)])
    velocity = None
    for _ in range(4):
        weight.requires_grad_()
        loss = ep.task.loss(5.0 * z @ (weight / weight.norm(dim=1, keepdim=True)).T, ep.support.y)
        (slope,) = torch.autograd.grad(loss, weight)
        weight = weight.detach()
        slope = slope + 1e-3 * weight
        velocity = slope if velocity is None else 0.9 * velocity + 0.1 * slope
        weight = weight - 0.3 * velocity
    torch.testing.assert_close(predictor.weight, 5.0 * normalize(weight, dim=1).T)


def test_scores_are_cosines_times_the_scale():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    predictor = build("baseline++", encoder=encoder, scale=5.0).adapt(ep.support, ep.task)
    scores = predictor(ep.query.x)
    for i, z in enumerate(encoder(ep.query.x)):
        for c in range(3):
            cosine = torch.cosine_similarity(z, predictor.weight[:, c], dim=0)
            torch.testing.assert_close(scores[i, c], 5.0 * cosine)
    assert scores.abs().max() <= 5.0


def test_more_steps_fit_the_support_better():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    losses = []
    for steps in (0, 20, 200):
        learner = build("baseline++", encoder=encoder, lr=0.1, steps=steps)
        output = learner.adapt(ep.support, ep.task)(ep.support.x)
        losses.append(ep.task.loss(output, ep.support.y).item())
    assert losses[0] > losses[1] + 0.001 > losses[2] + 0.002
