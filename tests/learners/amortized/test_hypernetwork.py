"""The hypernetwork: what it writes, class by class, and the steps that it then takes."""

import math

import pytest
import torch
from torch.nn.functional import one_hot

import toys
from medshot.core.errors import ConfigError
from medshot.inner.rules import GradientContext
from medshot.learners import build
from medshot.learners.amortized.hypernetwork import WEIGHTS, Perceptron, WrittenRates
from medshot.tasks import Classification


def test_each_weight_is_written_from_the_task_or_from_a_class_in_it():
    ep, learner = toys.episode(Classification(3)), _learner()
    z, length = learner.encoder(ep.support.x), torch.tensor(2.0)
    written, _ = learner._written(z, length, one_hot(ep.support.y, 3).float())
    encoded = torch.stack([learner.image(each / each.norm() * 2) for each in z])
    classes = [encoded[ep.support.y == c].mean(0) for c in range(3)]
    task = (classes[0] + classes[1] + classes[2]) / 3
    shared = learner.shared(task)
    torch.testing.assert_close(written["hidden"], shared[: 4 * 6].view(4, 6))
    torch.testing.assert_close(written["hidden_bias"], shared[4 * 6 :])
    for c in range(3):
        single = learner.single(torch.cat([classes[c], task]))
        mean = z[ep.support.y == c].mean(0)
        torch.testing.assert_close(written["out"][:, c], single[:6])
        torch.testing.assert_close(written["direct"][:, c], mean * length + single[6:10])  # 2 s = 1
        torch.testing.assert_close(written["bias"][c], single[10] - mean.square().sum() / 2)


def test_with_nothing_written_one_step_is_that_of_a_linear_model_by_hand():
    ep, learner = toys.episode(Classification(3)), _learner(steps=1, lr=0.7)
    for writer in (learner.shared, learner.rates, learner.single[2]):
        for p in writer.parameters():
            p.data.zero_()
    z, y = learner.encoder(ep.support.x), one_hot(ep.support.y, 3).float()
    length = (sum(each @ each for each in z) / len(z)) ** 0.5
    means = torch.stack([z[ep.support.y == c].mean(0) for c in range(3)])
    w, b = means.T * length, -means.square().sum(1) / 2  # for inputs over `length`
    error = 3 * ((z / length @ w + b).softmax(1) - y) / len(z)  # the slope of 3 x the mean loss
    w1, b1 = w - 0.7 * (z / length).T @ error, b - 0.7 * error.sum(0)
    expected = learner.encoder(ep.query.x) / length @ w1 + b1
    torch.testing.assert_close(learner.adapt(ep.support, ep.task)(ep.query.x), expected)


def test_every_tensor_has_a_rate_of_its_own_at_every_step():
    rates = torch.rand(2, 3)
    rule = WrittenRates(rates)
    grads = {name: torch.randn(4) for name in ("a", "b", "c")}
    here, state = GradientContext(grads, torch.zeros(())), rule.init(grads)
    for step in range(2):
        moves, state = rule.update(grads, state, here)
        for i, name in enumerate(grads):
            torch.testing.assert_close(moves[name], -rates[step, i] * grads[name])


def test_the_support_decides_how_far_the_steps_go():
    learner, rates = _learner(steps=2, lr=0.3), []
    for seed in range(2):
        ep = toys.episode(Classification(3), seed)
        labels = one_hot(ep.support.y, 3).float()
        rates.append(learner._written(learner.encoder(ep.support.x), torch.ones(()), labels)[1])
    assert rates[0].shape == (2, len(WEIGHTS))
    assert ((rates[0] - rates[1]).abs() > 1e-5).all()
    assert (rates[0] > 0).all()


def test_steps_lower_the_loss_on_the_support():
    ep = toys.episode(Classification(3))
    losses = []
    for lr in (1e-9, 1.0):
        torch.manual_seed(0)
        predictor = _learner(steps=5, lr=lr).adapt(ep.support, ep.task)
        losses.append(ep.task.loss(predictor(ep.support.x), ep.support.y))
    assert losses[1] < losses[0] - 0.05


def test_features_of_another_length_and_a_scale_to_match_take_the_same_steps():
    ep, outputs = toys.episode(Classification(3)), []
    for factor in (1.0, 30.0):
        torch.manual_seed(0)
        learner = _learner()
        for p in learner.encoder.parameters():
            p.data.mul_(factor)
        learner.log_scale.data.sub_(2 * math.log(factor))
        outputs.append(learner.adapt(ep.support, ep.task)(ep.query.x))
    torch.testing.assert_close(outputs[1], outputs[0], atol=1e-4, rtol=1e-3)


def test_features_that_are_all_zero_have_a_finite_gradient():
    ep, learner = toys.episode(Classification(3)), _learner()
    for p in learner.encoder.parameters():
        p.data.zero_()
    learner.meta_loss(ep).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learner.parameters())


@pytest.mark.parametrize("option", ["width", "hidden", "steps"])
def test_none_of_a_number_is_refused(option):
    with pytest.raises(ConfigError, match=f"{option} is 0"):
        _learner(**{option: 0})


def test_meta_loss_is_the_loss_of_adapting_and_predicting():
    ep, learner = toys.episode(Classification(3)), build("hypernetwork", encoder=toys.conv4())
    adapted = ep.task.loss(learner.adapt(ep.support, ep.task)(ep.query.x), ep.query.y)
    torch.testing.assert_close(learner.meta_loss(ep), adapted)


def test_what_is_written_and_the_steps_are_not_in_half_precision():
    ep, learner = toys.episode(Classification(3)), _learner()
    exact = learner.meta_loss(ep)
    with torch.autocast("cpu", torch.bfloat16):
        predictor = learner.adapt(ep.support, ep.task)
        assert {getattr(predictor, name).dtype for name in WEIGHTS} == {torch.float32}
        loss = learner.meta_loss(ep)
    torch.testing.assert_close(loss, exact, atol=0.1, rtol=0.1)


def _learner(**options):
    return build("hypernetwork", encoder=toys.Projection(outputs=4), **{"hidden": 6, **options})


# The perceptron against a loop over its units.


SHAPES = ((5, 4), (4,), (4, 3), (5, 3), (3,))


def test_a_score_is_the_sum_of_the_units_and_of_the_way_past_them():
    encoder, x = toys.Projection(outputs=5), toys.images()
    hidden, hidden_bias, out, direct, bias = weights = [torch.randn(shape) for shape in SHAPES]
    scores = Perceptron(encoder, *weights)(x)
    for i, z in enumerate(encoder(x)):
        for c in range(3):
            slow = bias[c] + z @ direct[:, c]
            for h in range(4):
                slow = slow + out[h, c] * math.tanh((z @ hidden[:, h] + hidden_bias[h]).item())
            torch.testing.assert_close(scores[i, c], slow)


def test_its_weights_are_in_the_state_and_are_no_parameters():
    head = Perceptron(toys.Projection(outputs=5), *(torch.randn(shape) for shape in SHAPES))
    assert set(WEIGHTS) <= set(head.state_dict())
    assert all(name.startswith("encoder.") for name, _ in head.named_parameters())


def test_nothing_after_the_features_is_in_half_precision():
    head = Perceptron(toys.Projection(outputs=5), *(torch.randn(shape) for shape in SHAPES))
    z = torch.randn(6, 5)
    exact = head.on_features(z)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(head.on_features(z), exact, rtol=0, atol=0)
