"""FiLM: which layers it tunes, by how much, and the head against distances in loops."""

import pytest
import torch
from torch import nn

import toys
from medshot.core.errors import ConfigError
from medshot.learners import build
from medshot.learners.amortized.film import norm_parameters
from medshot.nn.heads import Linear
from medshot.tasks import Classification

SCALES_AND_SHIFTS = [f"blocks.{i}.1.{name}" for i in range(4) for name in ("weight", "bias")]


@pytest.mark.parametrize("norm", ["group", "batch", "transductive"])
def test_all_scales_and_shifts_of_normalisation_layers_are_found(norm):
    assert list(norm_parameters(toys.conv4(norm=norm))) == SCALES_AND_SHIFTS


def test_other_normalisation_layers_and_none_at_all():
    mixed = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.RMSNorm(4))
    assert list(norm_parameters(mixed)) == ["1.weight", "1.bias", "2.weight"]
    assert list(norm_parameters(nn.LayerNorm(4))) == ["weight", "bias"]
    assert not norm_parameters(toys.conv4(norm="none"))
    assert not norm_parameters(nn.GroupNorm(2, 4, affine=False))


def test_the_frozen_encoder_holds_what_was_written_and_is_otherwise_the_same():
    ep, encoder = toys.episode(Classification(3)), toys.conv4()
    learner = build("film", encoder=encoder)
    frozen = learner.adapt(ep.support, ep.task).freeze()
    assert type(frozen) is Linear

    z = encoder(ep.support.x)
    mean = sum(each / each.norm() for each in z) / len(z)
    written = learner.generator(mean * encoder.n_features**0.5).split(8)
    own, adapted = dict(encoder.named_parameters()), dict(frozen.encoder.named_parameters())
    for name, values in zip(SCALES_AND_SHIFTS, written, strict=True):
        moved = own[name] + values if name.endswith("bias") else own[name] * (1 + values)
        torch.testing.assert_close(adapted[name], moved.detach())
        assert (adapted[name] - own[name]).abs().max() > 1e-4
    for name in own.keys() - set(SCALES_AND_SHIFTS):
        torch.testing.assert_close(adapted[name], own[name].detach(), rtol=0, atol=0)


def test_decisions_are_those_of_scaled_distances_in_the_modulated_encoder():
    ep, learner = toys.episode(Classification(3)), build("film", encoder=toys.conv4())
    predictor = learner.adapt(ep.support, ep.task)
    z, zq = (predictor.freeze().encoder(x) for x in (ep.support.x, ep.query.x))
    _compare(predictor(ep.query.x), z, zq, ep, learner.log_scale.exp() * torch.ones(z.shape[1]))


def test_an_encoder_without_such_layers_has_its_features_scaled():
    ep, encoder = toys.episode(Classification(3)), toys.Projection(outputs=5)
    learner = build("film", encoder=encoder)
    z = encoder(ep.support.x)
    mean = sum(each / each.norm() for each in z) / len(z)
    stretch = 1 + learner.generator(mean * 5**0.5)
    assert (stretch - 1).abs().max() > 1e-3
    predictor = learner.adapt(ep.support, ep.task)
    weights = learner.log_scale.exp() * stretch**2
    _compare(predictor(ep.query.x), z, encoder(ep.query.x), ep, weights)


def test_two_supports_tune_the_encoder_differently():
    learner, frozen = build("film", encoder=toys.conv4()), []
    for seed in range(2):
        ep = toys.episode(Classification(3), seed)
        frozen.append(learner.adapt(ep.support, ep.task).freeze().encoder(ep.query.x[:1] * 0))
    assert (frozen[0] - frozen[1]).abs().max() > 1e-4


@pytest.mark.parametrize("make", [toys.conv4, toys.Projection])
def test_meta_loss_is_the_loss_of_adapting_and_predicting(make):
    ep = toys.episode(Classification(3))
    learner = build("film", encoder=make())
    adapted = ep.task.loss(learner.adapt(ep.support, ep.task)(ep.query.x), ep.query.y)
    torch.testing.assert_close(learner.meta_loss(ep), adapted)


def test_batch_norm_keeps_the_statistics_of_the_modulated_encoder_alone():
    ep, encoder = toys.episode(Classification(3)), toys.conv4(norm="batch")
    learner = build("film", encoder=encoder).train()
    learner.meta_loss(ep)
    assert {int(layer[1].num_batches_tracked) for layer in encoder.blocks} == {1}
    assert all(module.training for module in learner.modules())


def test_a_generator_of_no_width_is_refused():
    with pytest.raises(ConfigError, match="width is 0"):
        build("film", encoder=toys.conv4(), width=0)


def test_the_head_is_not_in_half_precision():
    ep, learner = toys.episode(Classification(3)), build("film", encoder=toys.conv4())
    exact = learner.meta_loss(ep)
    with torch.autocast("cpu", torch.bfloat16):
        assert learner.adapt(ep.support, ep.task).params["head.weight"].dtype == torch.float32
        loss = learner.meta_loss(ep)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, atol=0.1, rtol=0.1)


def _compare(scores, z, zq, ep, weights):
    for i in range(len(zq)):
        slow = [
            -(weights * (zq[i] - z[ep.support.y == c].mean(0)) ** 2).sum()
            for c in range(ep.task.n_outputs)
        ]
        odds = torch.stack(slow).softmax(0)
        torch.testing.assert_close(scores[i].softmax(0), odds, atol=1e-5, rtol=1e-4)
