"""FiLM is a scale and a shift after a normalisation, and is folded into its weights."""

import pytest
import torch
from torch import nn

from medshot.stages.finetune.methods import FiLM, Scaled


@pytest.mark.parametrize(
    "norm",
    [nn.GroupNorm(2, 4), nn.BatchNorm2d(4).eval(), nn.InstanceNorm2d(4, affine=True)],
    ids=["group", "batch", "instance"],
)
def test_it_is_a_scale_and_a_shift_of_what_the_layer_gives(norm):
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(2, 4, 5, 5)
    before = norm(x)
    weight, bias = (move.change for move in FiLM().moves([norm]))
    nn.init.normal_(weight.scale)
    nn.init.normal_(bias.shift)
    with torch.no_grad():
        norm.weight.copy_(weight(norm.weight))
        norm.bias.copy_(bias(norm.bias))
    scale, shift = (each[:, None, None] for each in (weight.scale, bias.shift))
    torch.testing.assert_close(norm(x), before * (1 + scale) + shift)


def test_without_normalisation_the_channels_of_convolutions_are_scaled_and_shifted():
    layer = nn.Conv2d(3, 4, 3)
    moves = list(FiLM().moves([layer, nn.Linear(2, 2)]))
    assert [(move.layer, move.weight) for move in moves] == [(layer, "weight"), (layer, "bias")]
    x, scale = torch.randn(2, 3, 5, 5), moves[0].change.scale
    nn.init.normal_(scale)
    found = torch.conv2d(x, moves[0].change(layer.weight), moves[1].change(layer.bias))
    torch.testing.assert_close(found, layer(x) * (1 + scale[:, None, None]))


def test_a_layer_without_bias_is_scaled_alone():
    layers = [nn.LayerNorm((4, 3), bias=False), nn.RMSNorm(4)]
    moves = list(FiLM().moves(layers))
    assert [move.weight for move in moves] == ["weight", "weight"]
    assert isinstance(moves[0].change, Scaled)
    assert torch.equal(moves[0].change(layers[0].weight), layers[0].weight)
