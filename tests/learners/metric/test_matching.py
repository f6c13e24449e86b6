"""Attention summed over labels, against Vinyals' equation written as loops; with context, order."""

import math

import pytest
import torch

import toys
from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.learners.metric.matching import QueryContext, SupportContext
from medshot.tasks import Classification


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_probabilities_are_attention_summed_over_labels_and_need_no_equal_classes(scale):
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    support = ep.support[torch.tensor([0, 1, 2, 3, 6])]
    assert support.y.tolist() == [0, 1, 2, 0, 0]
    predictor = build("matching", encoder=encoder, scale=scale).adapt(support, ep.task)
    output = predictor(ep.query.x)
    known, z = encoder(support.x), encoder(ep.query.x)
    for i in range(len(ep.query)):
        attention = torch.stack([(scale * _cosine(z[i], g)).exp() for g in known])
        attention = attention / attention.sum()
        slow = torch.zeros(3)
        for share, y in zip(attention, support.y, strict=True):
            slow[y] += share
        torch.testing.assert_close(output[i].exp(), slow, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ep.task.decode(output)[i], slow, atol=1e-5, rtol=1e-4)


def test_the_loss_is_minus_the_logarithm_of_the_attention_to_the_right_class():
    ep = toys.episode(Classification(3))
    learner = build("matching", encoder=toys.Projection(), scale=1.0)
    shares = learner.adapt(ep.support, ep.task)(ep.query.x).exp()
    right = [shares[i, y] for i, y in enumerate(ep.query.y)]
    torch.testing.assert_close(learner.meta_loss(ep), -torch.stack(right).log().mean())


@pytest.mark.parametrize("name", ["matching", "matching-fce"])
def test_a_class_that_gets_no_attention_still_has_a_logarithm_and_a_gradient(name):
    x = torch.stack([torch.ones(1, 16, 16), -torch.ones(1, 16, 16)])
    support = Examples(x, torch.tensor([0, 1]))
    learner = build(name, encoder=toys.Projection(), scale=1000.0)
    learner.encoder[1].bias.data.zero_()
    wrong = Episode(Classification(2), support, Examples(x, torch.tensor([1, 0])))
    loss = learner.meta_loss(wrong)
    assert loss > -math.log(torch.finfo().tiny)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learner.parameters())


def test_features_of_nothing_attend_to_all_alike():
    support = Examples(torch.zeros(4, 1, 16, 16), torch.tensor([0, 1, 1, 1]))
    learner = build("matching", encoder=toys.Projection())
    learner.encoder[1].bias.data.zero_()
    shares = learner.adapt(support, Classification(2))(support.x).exp()
    torch.testing.assert_close(shares, torch.tensor([[0.25, 0.75]]).expand(4, 2))


def test_context_changes_the_answer_and_follows_the_order_of_the_support():
    ep = toys.episode(Classification(3))
    learner = build("matching-fce", encoder=toys.Projection())
    answer = learner.adapt(ep.support, ep.task)(ep.query.x)
    plain = build("matching", encoder=learner.encoder).adapt(ep.support, ep.task)(ep.query.x)
    backwards = ep.support[torch.arange(len(ep.support)).flip(0)]
    assert learner.order_matters
    for other in (plain, learner.adapt(backwards, ep.task)(ep.query.x)):
        assert (answer.exp() - other.exp()).abs().max() > 1e-3


def test_more_processing_steps_give_another_answer_and_none_are_refused():
    ep, encoder = toys.episode(Classification(3)), toys.Projection()
    answers = []
    for steps in (1, 2):
        torch.manual_seed(0)
        learner = build("matching-fce", encoder=encoder, processing_steps=steps)
        answers.append(learner.adapt(ep.support, ep.task)(ep.query.x).exp())
    assert (answers[0] - answers[1]).abs().max() > 1e-4
    with pytest.raises(ConfigError, match="at least 1"):
        build("matching-fce", encoder=encoder, processing_steps=0)


@pytest.mark.parametrize("name", ["matching", "matching-fce"])
def test_cosines_are_not_taken_in_half_precision(name):
    ep = toys.episode(Classification(3))
    learner = build(name, encoder=toys.Projection())
    exact = learner.meta_loss(ep)
    with torch.autocast("cpu", torch.bfloat16):
        assert learner.adapt(ep.support, ep.task)(ep.query.x).dtype == torch.float32
        loss = learner.meta_loss(ep)
    torch.testing.assert_close(loss, exact, atol=0.1, rtol=0.05)


def _cosine(u, v):
    return sum(a * b for a, b in zip(u, v, strict=True)) / (u.norm() * v.norm())


# Full context embeddings against the equations of Vinyals' appendix, one gate at a time.


def test_the_support_is_read_forwards_and_backwards_and_added():
    context = SupportContext(3)
    z, weights = torch.randn(4, 3), dict(context.lstm.named_parameters())
    slow = z.clone()
    for order, suffix in ((range(4), "l0"), (range(3, -1, -1), "l0_reverse")):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        h, c = torch.zeros(3), torch.zeros(3)
        for i in order:
            h, c = _lstm(z[i], h, c, *(weights[f"{n}_{suffix}"] for n in names))
            slow[i] += h
    torch.testing.assert_close(context(z), slow)


def test_a_query_looks_again_and_again_at_what_is_known():
    context, z, known = QueryContext(3, steps=3), torch.randn(2, 3), torch.randn(4, 3)
    cell, seen = context.cell, context(z, known)
    for i, f in enumerate(z):
        h, c = f, torch.zeros(3)
        for _ in range(3):
            attention = torch.stack([h @ g for g in known]).softmax(0)
            r = sum(a * g for a, g in zip(attention, known, strict=True))
            x = torch.cat([f, r])
            h, c = _lstm(x, h, c, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
            h = h + f
        torch.testing.assert_close(seen[i], h)


def _lstm(x, h, c, of_x, of_h, bias_x, bias_h):
    """Hochreiter & Schmidhuber's cell with a forget gate, its gates in PyTorch's order."""
    enter, keep, new, leave = (of_x @ x + bias_x + of_h @ h + bias_h).chunk(4)
    c = keep.sigmoid() * c + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * c.tanh(), c
