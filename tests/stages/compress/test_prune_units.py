"""Channels of one group of a normalisation go together, and nothing that cannot be cut goes."""

import torch
import torch_pruning
from torch import nn

from medshot.stages.compress.prune import Net, units


def _units(encoder: nn.Module, features: int = 4) -> dict[str, list[list[int]]]:
    net = Net(encoder, nn.Conv2d(features, 2, 1))
    graph = torch_pruning.DependencyGraph()
    graph.build_dependency(net, torch.rand(1, 1, 8, 8), verbose=False)
    names = {module: name for name, module in encoder.named_modules()}
    groups = graph.get_all_groups([net.head])
    return {names[g[0].dep.target.module]: units(g) for g in groups}


def _convolution(a: int, b: int, **options: int) -> nn.Conv2d:
    return nn.Conv2d(a, b, 3, padding=1, **options)


def test_groups_of_a_normalisation_are_whole():
    net = nn.Sequential(_convolution(1, 6), nn.GroupNorm(3, 6), nn.ReLU(), _convolution(6, 4))
    assert _units(net) == {"0": [[0, 1], [2, 3], [4, 5]], "3": [[0], [1], [2], [3]]}


def test_without_groups_or_with_one_each_channel_is_its_own():
    net = nn.Sequential(_convolution(1, 3), nn.GroupNorm(1, 3), nn.ReLU(), _convolution(3, 4))
    assert _units(net)["0"] == [[0], [1], [2]]


def test_of_two_normalisations_the_larger_groups_count():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = _convolution(1, 8), _convolution(8, 4)
            self.pairs, self.fours = nn.GroupNorm(4, 8), nn.GroupNorm(2, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = self.first(x)
            return self.last(self.pairs(z) + self.fours(z))

    assert _units(Twice())["first"] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_groups_that_hold_the_channels_of_two_layers_stay():
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.last = _convolution(1, 3), _convolution(1, 3), _convolution(6, 4)
            self.norm = nn.GroupNorm(3, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.norm(torch.cat([self.a(x), self.b(x)], 1)))

    found = _units(Beside())
    assert found["a"] == []
    assert found["b"] == []


def test_convolutions_of_several_groups_stay_and_those_of_one_channel_each_go():
    apart = nn.Sequential(_convolution(1, 4), _convolution(4, 4, groups=2), _convolution(4, 4))
    assert _units(apart)["0"] == []
    each = nn.Sequential(_convolution(1, 4), _convolution(4, 4, groups=4), _convolution(4, 4))
    assert all(found == [[0], [1], [2], [3]] for found in _units(each).values())
