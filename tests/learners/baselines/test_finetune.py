"""Fine-tuning against its first step by hand, and on a support that can be learned by heart."""

import torch
from torch.nn.functional import one_hot

import toys
from medshot.learners import build
from medshot.nn.heads import Linear
from medshot.tasks import Classification


def test_the_first_step_of_adam_moves_only_the_head_by_the_rate():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    predictor = build("finetune", encoder=encoder, lr=0.01, steps=1).adapt(ep.support, ep.task)
    z = encoder(ep.support.x).detach()
    slope = z.T @ (1 / 3 - one_hot(ep.support.y, 3).float())
    torch.testing.assert_close(predictor.weight, -0.01 * slope.sign(), atol=1e-5, rtol=0)
    torch.testing.assert_close(predictor.encoder[1].weight, encoder[1].weight.detach())


def test_it_learns_the_support_by_heart_and_moves_the_encoder():
    ep, encoder = toys.episode(Classification(3)), toys.conv4()
    predictor = build("finetune", encoder=encoder, lr=0.01).adapt(ep.support, ep.task)
    assert isinstance(predictor, Linear)
    start = build("nearest-centroid", encoder=encoder).adapt(ep.support, ep.task)
    assert toys.accuracy(start, ep.support) < toys.accuracy(predictor, ep.support) == 1.0
    moved = zip(predictor.encoder.parameters(), encoder.parameters(), strict=True)
    assert not any(torch.equal(after, before) for after, before in moved)
