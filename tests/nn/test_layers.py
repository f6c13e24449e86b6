"""Normalisation by policy, and which policies let the neighbours of an image change its answer."""

import pytest
import torch
from torch import nn

import toys
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.nn.layers import POLICIES, norm
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
