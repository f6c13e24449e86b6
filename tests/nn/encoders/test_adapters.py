"""Layers of every kind are brought to other widths, and the whole is made from its recipe again."""

import pytest
import torch
from torch import nn

import toys
from medshot.core.registry import make, recipe
from medshot.nn import Conv4, UNet3d
from medshot.nn.encoders.adapters import Pruned, widths

LAYERS = {
    "conv": (nn.Conv2d(8, 8, 3), [4, 6, 1]),
    "depthwise": (nn.Conv2d(8, 8, 3, groups=8, bias=False), [4, 4, 4]),
    "transposed": (nn.ConvTranspose2d(8, 8, 2), [4, 6, 1]),
    "volume": (nn.Conv3d(8, 8, 3), [4, 6, 1]),
    "linear": (nn.Linear(8, 8), [4, 6, 1]),
    "group": (nn.GroupNorm(4, 8), [4, 4, 2]),
    "batch": (nn.BatchNorm2d(8), [4, 4, 1]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_takes_and_gives_its_new_widths(name):
    layer, wanted = LAYERS[name]
    made = Pruned(encoder=nn.Sequential(layer), layers=[["0", *wanted]], n_features=4)
    assert widths(layer) == tuple(wanted)
    sides = {"linear": (), "volume": (5, 5, 5)}.get(name, (5, 5))
    assert made(torch.rand(2, wanted[1], *sides)).shape[:2] == (2, 4)
    assert all(not p.any() for p in made.parameters())


def test_what_has_no_widths_says_so():
    assert widths(nn.ReLU()) is None


def test_the_form_is_the_encoders_and_the_recipe_makes_it_again():
    layers = [["blocks.0.0", 4, 1, 1], ["blocks.0.1", 4, 4, 4], ["blocks.1.0", 8, 4, 1]]
    made = Pruned(encoder=toys.conv4(), layers=layers, n_features=8)
    again = make(recipe(made))
    assert {n: t.shape for n, t in again.state_dict().items()} == {
        n: t.shape for n, t in made.state_dict().items()
    }
    assert (made.channels, made.size, made.keeps_grid, made.dims) == (1, toys.SIZE, False, 2)
    assert not made.transductive
    with torch.no_grad():
        assert made(toys.images()).shape == (6, 8)
    assert Pruned(encoder=Conv4(norm="transductive"), layers=[], n_features=8).transductive
    assert Pruned(encoder=UNet3d(), layers=[], n_features=8).dims == 3
