"""LoRA is what the layers give plus a narrow way beside them, and is folded in."""

import pytest
import torch
from torch import nn

from medshot.core.errors import ConfigError
from medshot.stages.finetune.methods import LoRA, LowRank

RANK, ALPHA = 3, 6.0


def _changes(layers: list[nn.Module]) -> list[LowRank]:
    """What LoRA adds to `layers`, its zeros replaced by random numbers."""
    changes = [move.change for move in LoRA(rank=RANK, alpha=ALPHA).moves(layers)]
    for change in changes:
        assert isinstance(change, LowRank)
        nn.init.normal_(change.b)
    return changes


def test_of_a_linear_layer_it_is_a_second_narrow_path():
    layer, x = nn.Linear(7, 5), torch.randn(4, 7)
    (change,) = _changes([layer])
    beside = ALPHA / RANK * (x @ change.a.T @ change.b.T)
    found = nn.functional.linear(x, change(layer.weight), layer.bias)
    torch.testing.assert_close(found, layer(x) + beside)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.Conv2d(4, 6, 3, stride=2, padding=1), torch.randn(2, 4, 9, 9)),
        (nn.Conv3d(2, 6, 3, padding=1), torch.randn(2, 2, 4, 5, 6)),
    ],
    ids=["2d", "3d"],
)
def test_of_a_convolution_it_is_one_to_few_channels_and_one_of_a_pixel(layer, x):
    (change,) = _changes([layer])
    convolve = torch.conv3d if layer.weight.ndim == 5 else torch.conv2d
    down = change.a.view(RANK, *layer.weight.shape[1:])
    up = change.b.view(*change.b.shape, *(1,) * (x.ndim - 2))
    beside = convolve(convolve(x, down, None, layer.stride, layer.padding), up)
    found = convolve(x, change(layer.weight), layer.bias, layer.stride, layer.padding)
    torch.testing.assert_close(found, layer(x) + ALPHA / RANK * beside, rtol=1e-4, atol=1e-5)


def test_peft_gives_the_same_for_the_same_factors():
    peft = pytest.importorskip("peft")
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))
    x, changes = torch.randn(2, 3, 4, 4), _changes([net[0], net[3]])
    z = torch.conv2d(x, changes[0](net[0].weight), net[0].bias, padding=1).relu().flatten(1)
    ours = nn.functional.linear(z, changes[1](net[3].weight), net[3].bias)
    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["0", "3"])
    theirs = peft.get_peft_model(net, config)
    for name, change in zip(("0", "3"), changes, strict=True):
        layer = theirs.base_model.model.get_submodule(name)
        with torch.no_grad():
            for own, given in ((layer.lora_A, change.a), (layer.lora_B, change.b)):
                own["default"].weight.copy_(given.view_as(own["default"].weight))
    torch.testing.assert_close(ours, theirs(x))
    torch.testing.assert_close(ours, theirs.merge_and_unload()(x))


def test_a_layer_smaller_than_the_rank_gets_less_and_none_is_changed_at_first():
    layer = nn.Linear(7, 2)
    (move,) = LoRA(rank=4).moves([layer])
    assert move.change.a.shape == (2, 7)
    assert torch.equal(move.change(layer.weight), layer.weight)


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"alpha": 0.0}, {"alpha": float("nan")}])
def test_numbers_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match="rank="):
        LoRA(**wrong)
