"""Normalisation by policy, and which policies let the neighbours of an image change its answer."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import toys
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.nn.layers import POLICIES, SelfAttention, attend, norm, supervised_contrast
from medshot.tasks import Classification


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("training", [False, True])
def test_the_table_says_when_one_image_alone_gets_its_answer_among_others(policy, training):
    layer, x = norm(policy, 8), torch.randn(4, 8, 3, 3)
    layer.train(training)
    alone = torch.allclose(layer(x)[:1], layer(x[:1]), atol=1e-5)
    assert alone == (policy in ("group", "none") or (policy == "batch" and not training))


def test_groups_are_eight_or_as_many_as_there_are_channels():
    assert [norm("group", c).num_groups for c in (4, 8, 64)] == [4, 8, 8]


def test_a_width_that_cannot_be_grouped_says_so():
    with pytest.raises(ConfigError, match="the width is 12"):
        norm("group", 12)
    with pytest.raises(ConfigError, match="multiple of 8"):
        build("relation", encoder=toys.conv4(), width=20)


def test_an_unknown_policy_gets_a_suggestion():
    with pytest.raises(ConfigError, match="Did you mean 'batch'"):
        norm("bach", 8)


@pytest.mark.parametrize("name", ["prototypical", "maml", "linear-probe"])
def test_a_transductive_predictor_says_so_and_is_so(name):
    ep = toys.episode(Classification(3))
    learner = build(name, encoder=toys.conv4(norm="transductive"))
    predictor = learner.adapt(ep.support, ep.task)
    assert predictor.transductive
    assert predictor.freeze().transductive
    alone, among = predictor(ep.query.x[:1]), predictor(ep.query.x)[:1]
    assert not torch.allclose(alone, among, atol=1e-2)


def test_an_encoder_in_batch_statistics_keeps_what_meta_training_saw():
    encoder = toys.conv4(norm="batch")
    batches = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    before = batches[0].running_mean.clone()
    ep = toys.episode(Classification(3))
    build("prototypical", encoder=encoder).train().meta_loss(ep)
    assert not torch.equal(batches[0].running_mean, before)
    seen = batches[0].running_mean.clone()
    build("prototypical", encoder=encoder).eval().adapt(ep.support, ep.task)(ep.query.x)
    assert torch.equal(batches[0].running_mean, seen)


# Attention against a loop over queries and keys.


@pytest.mark.parametrize("partly", [False, True])
def test_each_query_gets_the_weighted_mean_of_the_values(partly):
    q, k, v = torch.randn(3, 4), torch.randn(5, 4), torch.randn(5, 2)
    seen = torch.rand(3, 5) < 0.5 if partly else torch.ones(3, 5, dtype=torch.bool)
    seen[:, 2] = True
    found = attend(q, k, v, seen if partly else None)
    for i in range(3):
        looked = [j for j in range(5) if seen[i, j]]
        odds = [math.exp(float(q[i] @ k[j]) / 2) for j in looked]
        slow = sum(o * v[j] for o, j in zip(odds, looked, strict=True)) / sum(odds)
        torch.testing.assert_close(found[i], slow)


def test_heads_do_not_mix():
    q, k, v = torch.randn(2, 3, 4), torch.randn(2, 5, 4), torch.randn(2, 5, 4)
    for head in range(2):
        torch.testing.assert_close(attend(q, k, v)[head], attend(q[head], k[head], v[head]))


def test_it_can_be_differentiated_twice():
    sets = [torch.randn(n, 2, dtype=torch.float64, requires_grad=True) for n in (2, 3, 3)]
    assert torch.autograd.gradgradcheck(attend, sets)


# The contrastive loss against the formulas of two papers, written as loops.


def test_two_views_an_image_are_simclrs_loss():
    z = F.normalize(torch.randn(8, 5), dim=1)
    y = torch.arange(4).repeat(2)
    slow = 0.0
    for i in range(8):
        j = (i + 4) % 8
        against = sum(math.exp(z[i] @ z[a] / 0.3) for a in range(8) if a != i)
        slow -= math.log(math.exp(z[i] @ z[j] / 0.3) / against) / 8
    torch.testing.assert_close(supervised_contrast(z @ z.T / 0.3, y), torch.tensor(slow))


def test_features_that_say_nothing_score_as_chance_does():
    same = torch.zeros(6, 6)
    loss = supervised_contrast(same, torch.tensor([0, 0, 1, 1, 2, 2]))
    torch.testing.assert_close(loss, torch.tensor(math.log(5)))


# Attention over tokens, against a loop; what is not seen does not matter.


def test_one_head_is_the_formula():
    torch.manual_seed(0)
    layer, x = SelfAttention(4, 1), torch.randn(2, 3, 4)
    q, k, v = (layer.asked(layer.before(x))[..., i * 4 : (i + 1) * 4] for i in range(3))
    slow = torch.zeros_like(x)
    for n in range(2):
        for i in range(3):
            weights = torch.stack([q[n, i] @ k[n, j] / 2 for j in range(3)]).softmax(0)
            slow[n, i] = sum(w * value for w, value in zip(weights, v[n], strict=True))
    mixed = x + layer.mix(slow)
    torch.testing.assert_close(layer(x), mixed + layer.after(mixed))


def test_a_token_that_is_not_seen_changes_no_other():
    torch.manual_seed(0)
    layer, x = SelfAttention(8, 2), torch.randn(2, 3, 8)
    seen = torch.tensor([[True, True, False], [True, True, True]])
    changed = x.clone()
    changed[:, 2] = torch.randn(2, 8)
    before, after = layer(x, seen), layer(changed, seen)
    torch.testing.assert_close(before[0, :2], after[0, :2])
    assert not torch.allclose(before[1, :2], after[1, :2])
