"""MAML against its algorithm written out, its head, and its first-order form."""

import pytest
import torch
from torch.func import functional_call
from torch.nn.functional import cross_entropy, one_hot

import toys
from medshot.core.errors import TaskError
from medshot.learners import build
from medshot.nn.heads import Linear
from medshot.tasks import Classification


def test_one_step_on_a_linear_model_by_hand():
    ep = toys.episode(Classification(3))
    encoder = toys.Projection(outputs=4)
    maml = build("maml", encoder=encoder, way=3, lr=0.3, steps=1)
    x, y = ep.support.x.flatten(1), one_hot(ep.support.y, 3).float()
    a, b = encoder[1].weight.detach().T, encoder[1].bias.detach()
    w, c = maml.head.weight.detach().T, maml.head.bias.detach()

    z = x @ a + b
    error = ((z @ w + c).softmax(1) - y) / len(x)  # the slope of the mean cross-entropy
    w1, c1 = w - 0.3 * z.T @ error, c - 0.3 * error.sum(0)
    a1, b1 = a - 0.3 * x.T @ error @ w.T, b - 0.3 * (error @ w.T).sum(0)

    expected = (ep.query.x.flatten(1) @ a1 + b1) @ w1 + c1
    torch.testing.assert_close(maml.adapt(ep.support, ep.task)(ep.query.x), expected)


def test_the_meta_gradient_is_that_of_two_steps_written_out():
    ep = toys.episode(Classification(3))
    maml = build("maml", encoder=toys.Projection(outputs=4), way=3, lr=0.2, steps=2).double()
    ep = _doubled(ep)
    params = {n: p.detach().clone().requires_grad_() for n, p in maml.named_parameters()}

    def scores(p, x):
        body = {n.removeprefix("encoder."): v for n, v in p.items() if n.startswith("encoder.")}
        return functional_call(maml.encoder, body, (x,)) @ p["head.weight"].T + p["head.bias"]

    moved = params
    for _ in range(2):
        inner = cross_entropy(scores(moved, ep.support.x), ep.support.y)
        slopes = torch.autograd.grad(inner, list(moved.values()), create_graph=True)
        moved = {n: p - 0.2 * g for (n, p), g in zip(moved.items(), slopes, strict=True)}
    cross_entropy(scores(moved, ep.query.x), ep.query.y).backward()

    maml.meta_loss(ep).backward()
    for name, parameter in maml.named_parameters():
        torch.testing.assert_close(parameter.grad, params[name].grad)


def test_first_order_has_the_same_predictor_and_another_meta_gradient():
    ep = toys.episode(Classification(3))
    encoder = toys.Projection(outputs=4)
    gradients, outputs = [], []
    for name in ("maml", "fomaml"):
        encoder.zero_grad()
        learner = build(name, encoder=encoder, lr=0.3)
        learner.meta_loss(ep).backward()
        gradients.append(encoder[1].weight.grad.clone())
        outputs.append(learner.adapt(ep.support, ep.task)(ep.query.x))
    torch.testing.assert_close(outputs[0], outputs[1])
    assert (gradients[0] - gradients[1]).norm() > 0.01 * gradients[0].norm()


def test_without_a_way_the_head_starts_at_zero_and_prefers_no_class():
    ep = toys.episode(Classification(7))
    maml = build("maml", encoder=toys.Projection(), test_steps=0)
    assert not maml.adapt(ep.support, ep.task)(ep.query.x).any()


def test_a_head_of_five_classes_refuses_three():
    ep = toys.episode(Classification(3))
    with pytest.raises(TaskError, match=r"5 classes.*has 3.*way=None"):
        build("maml", encoder=toys.Projection(), way=5).adapt(ep.support, ep.task)


def test_steps_at_use_may_be_more_than_in_meta_training():
    ep = toys.episode(Classification(3))
    few, many = (build("maml", encoder=toys.conv4(), steps=n) for n in (2, 6))
    many.encoder.load_state_dict(few.encoder.state_dict())
    both = build("maml", encoder=few.encoder, steps=2, test_steps=6)
    for learner, training in ((few, True), (many, False)):
        expected = learner.learn(ep.support, ep.task)(ep.query.x)
        both.train(training)
        torch.testing.assert_close(both.learn(ep.support, ep.task)(ep.query.x), expected)


def test_frozen_it_is_a_plain_encoder_and_a_linear_head():
    ep = toys.episode(Classification(3))
    frozen = build("maml", encoder=toys.conv4()).adapt(ep.support, ep.task).freeze()
    assert type(frozen) is Linear
    assert all(p.is_leaf for p in frozen.parameters())


def _doubled(ep):
    like = torch.zeros((), dtype=torch.float64)
    return type(ep)(ep.task, ep.support.to(like), ep.query.to(like))
