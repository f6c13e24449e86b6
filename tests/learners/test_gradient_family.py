"""What each of the MAML family adds, against its formula."""

import pytest
import torch
from torch.nn.functional import cross_entropy

import toys
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.learners.gradient.maml import output
from medshot.nn.heads import Linear
from medshot.tasks import Classification

EP = toys.episode(Classification(3))


def _maml_like(name: str, **options):
    return build(name, encoder=toys.Projection(outputs=4), way=3, lr=0.2, steps=2, **options)


def _as(learner, other):
    learner.load_state_dict(other.state_dict(), strict=False)
    return learner


@pytest.mark.parametrize("name", ["meta-sgd", "maml++"])
def test_with_equal_rates_it_is_maml(name):
    learner = _maml_like(name)
    maml = _as(_maml_like("maml"), learner)
    expected = maml.adapt(EP.support, EP.task)(EP.query.x)
    torch.testing.assert_close(learner.adapt(EP.support, EP.task)(EP.query.x), expected)


def test_anil_is_maml_with_a_body_that_stays():
    anil = _maml_like("anil")
    frozen = _as(_maml_like("meta-sgd"), anil)
    with torch.no_grad():
        for name, rate in frozen.rule.rates.items():
            rate.fill_(0.2 if name.startswith("head") else 0.0)
    expected = frozen.adapt(EP.support, EP.task)(EP.query.x)
    predictor = anil.adapt(EP.support, EP.task)
    assert isinstance(predictor, Linear)
    torch.testing.assert_close(predictor(EP.query.x), expected)
    loss = EP.task.loss(predictor(EP.query.x), EP.query.y)
    torch.testing.assert_close(anil.meta_loss(EP), loss)


def test_anil_leaves_the_encoder_alone_but_learns_it():
    anil = _maml_like("anil")
    anil.meta_loss(EP).backward()
    assert anil.encoder[1].weight.grad.any()


def test_the_multi_step_loss_goes_from_all_steps_to_the_last():
    learner = _maml_like("maml++", multi_step_until=10).train()
    stages = list(learner.path(EP.support, EP.task))[1:]
    losses = [EP.task.loss(output(learner.encoder, p, EP.query.x), EP.query.y) for p in stages]
    for step, weights in ((0, (0.5, 0.5)), (5, (0.25, 0.75)), (10, (0.0, 1.0)), (99, (0.0, 1.0))):
        learner.begin_step(step)
        expected = sum(w * loss for w, loss in zip(weights, losses, strict=True))
        torch.testing.assert_close(learner.meta_loss(EP), expected)


def test_the_order_of_the_derivative_rises_when_it_is_told():
    learner = _maml_like("maml++", multi_step_until=0, first_order_until=3).train()
    first = _as(_maml_like("fomaml"), learner).train()
    exact = _as(_maml_like("maml"), learner).train()
    for step, other in ((0, first), (2, first), (3, exact)):
        learner.begin_step(step)
        for each in (learner, other):
            each.zero_grad()
            each.meta_loss(EP).backward()
        mine, theirs = (each.encoder[1].weight.grad for each in (learner, other))
        torch.testing.assert_close(mine, theirs)


def test_where_annealing_stands_is_saved_with_the_weights():
    learner = _maml_like("maml++")
    learner.begin_step(7)
    assert int(_as(_maml_like("maml++"), learner).taken) == 7


def test_reptiles_gradient_is_the_way_back_from_the_adapted_weights():
    learner = _maml_like("reptile", batches=2, optimizer="adam").double().train()
    like = torch.zeros((), dtype=torch.float64)
    ep = type(EP)(EP.task, EP.support.to(like), EP.query.to(like))
    start = {
        n: p.detach().clone().requires_grad_()
        for n, p in learner.start(ep.support.x, EP.task).items()
    }
    optimizer = torch.optim.Adam(start.values(), lr=0.2, betas=(0.0, 0.999))
    before = {n: p.detach().clone() for n, p in start.items()}
    x, y = torch.cat([ep.support.x, ep.query.x]), torch.cat([ep.support.y, ep.query.y])
    by_class = y.argsort(stable=True)
    for batch in (by_class[::2], by_class[1::2]):
        optimizer.zero_grad()
        cross_entropy(output(learner.encoder, start, x[batch]), y[batch]).backward()
        optimizer.step()
    learner.meta_loss(ep).backward()
    way = before["encoder.1.weight"] - start["encoder.1.weight"].detach()
    # the roots differ where a gradient is of the size of epsilon
    torch.testing.assert_close(learner.encoder[1].weight.grad, way, rtol=1e-4, atol=1e-4)


def test_the_batches_of_reptile_hold_all_classes_whatever_the_order_of_an_episode():
    learner = _maml_like("reptile", batches=3).double().train()
    ep = toys.episode(Classification(3), shots=3)
    by_class = ep.support.y.argsort(stable=True)
    turned = by_class.view(3, 3).T.flatten()  # one of each class, again and again
    losses = []
    for order in (by_class, turned):
        like = torch.zeros((), dtype=torch.float64)
        support, query = ep.support[order].to(like), ep.query.to(like)
        losses.append(learner.meta_loss(type(ep)(ep.task, support, query)))
    torch.testing.assert_close(*losses)


def test_without_a_pull_the_proximal_end_is_that_of_descent_and_with_it_nearer():
    free, held = (_maml_like("prox", pull=pull) for pull in (0.0, 2.0))
    maml = _as(_maml_like("maml"), free)
    _as(held, free)
    ends = [dict(list(each.path(EP.support, EP.task))[-1]) for each in (maml, free, held)]
    torch.testing.assert_close(ends[1], ends[0])
    start = maml.start(EP.support.x, EP.task)
    ways = [sum((end[n] - p).norm() for n, p in start.items()) for end in ends]
    assert ways[2] < ways[1]


def test_implicit_gradients_go_to_the_exact_ones_as_descent_and_solver_converge():
    like = torch.zeros((), dtype=torch.float64)
    ep = toys.episode(Classification(3), shots=2)
    ep = type(ep)(ep.task, ep.support.to(like), ep.query.to(like))
    options = {"encoder": toys.Projection(outputs=3), "way": 3, "lr": 0.2, "pull": 1.0}
    gradients = []
    for steps, solver_steps in ((5, 1), (150, 30)):
        learner = build("imaml", steps=steps, solver_steps=solver_steps, **options).double()
        learner.zero_grad()
        learner.train().meta_loss(ep).backward()
        gradients.append(learner.head.bias.grad.clone())
    slow = _differences(learner, ep)
    assert (gradients[1] - slow).norm() < 1e-5 * slow.norm()
    assert (gradients[0] - slow).norm() > 1e-2 * slow.norm()


def _differences(learner, ep):
    slope = torch.zeros(3, dtype=torch.float64)
    for i in range(3):
        ends = []
        for step in (1e-5, -1e-5):
            learner.head.bias.data[i] += step
            ends.append(learner.meta_loss(ep).item())
            learner.head.bias.data[i] -= step
        slope[i] = (ends[0] - ends[1]) / 2e-5
    return slope


def test_learned_penalties_hold_a_layer_at_its_start():
    learner = _maml_like("meta-gradient", penalty=1e-9)
    maml = _as(_maml_like("maml"), learner)
    expected = maml.adapt(EP.support, EP.task)(EP.query.x)
    torch.testing.assert_close(learner.adapt(EP.support, EP.task)(EP.query.x), expected)


def test_settings_alone_can_be_learned():
    learner = _maml_like("meta-gradient", learn_start=False).train()
    learner.meta_loss(EP).backward()
    assert all(p.grad is None for p in learner.encoder.parameters())
    assert learner.rule.rates.grad.any()
    assert learner.log_penalty.grad.any()


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("imaml", {"pull": 0.0}, "above 0"),
        ("meta-gradient", {"lr": 0.0}, "above 0"),
        ("reptile", {"batches": 0}, "at least 1"),
        ("reptile", {"optimizer": "none"}, "Known: adam, sgd"),
    ],
)
def test_what_cannot_be_learned_is_refused(name, wrong, said):
    with pytest.raises(ConfigError, match=said):
        build(name, encoder=toys.Projection(), **wrong)
