"""Depthwise and residual networks are cut right, and what cannot be cut is refused."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from medshot.core.errors import ConfigError, TaskError
from medshot.stages.compress.prune import Net, remove_channels


class Residual(nn.Module):
    """A stem, a block whose sum is added to its input, and one that is depthwise."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.inner = nn.Conv2d(8, 8, 3, padding=1)
        self.outer = nn.Conv2d(8, 8, 3, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.last = nn.Conv2d(8, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.stem(x).relu()
        z = z + self.outer(self.inner(z).relu())
        return self.last(self.depthwise(z).relu()).relu().mean((2, 3))


def _net() -> tuple[Net, torch.Tensor]:
    return Net(Residual(), nn.Linear(8, 3)).eval(), torch.rand(4, 1, 12, 12)


def test_what_is_added_goes_together():
    net, x = _net()
    whole = copy.deepcopy(net)
    remove_channels(net, x, 0.5, features_too=True)
    small = net.encoder
    assert small.stem.out_channels == small.outer.out_channels == 4
    assert small.depthwise.groups == small.depthwise.in_channels == 4
    kept = [int((whole.encoder.stem.bias == b).nonzero()) for b in small.stem.bias]
    both = [int((whole.encoder.outer.bias == b).nonzero()) for b in small.outer.bias]
    assert kept == both
    assert net(x).shape == whole(x).shape


def test_features_stay_unless_told():
    net, x = _net()
    remove_channels(net, x, 0.5, features_too=False)
    assert net.encoder.last.out_channels == net.head.in_features == 8
    assert net.encoder.last.in_channels == 4


def test_the_largest_share_leaves_a_channel_and_the_smallest_takes_one_or_is_refused():
    net, x = _net()
    remove_channels(net, x, 0.999, features_too=True)
    assert net.encoder.inner.out_channels == 1
    net, x = _net()
    with pytest.raises(ConfigError, match=r"0.1 takes no channel of any layer: take a larger"):
        remove_channels(net, x, 0.1, features_too=True)


def test_a_network_without_layers_to_cut_is_refused():
    encoder = nn.Flatten()
    with pytest.raises(TaskError, match="Flatten has no convolutions"):
        remove_channels(
            Net(encoder, nn.Linear(144, 2)), torch.rand(2, 1, 12, 12), 0.5, features_too=True
        )


def test_without_the_library_it_says_what_to_type():
    code = (
        "import sys; sys.modules['torch_pruning'] = None\n"
        "from medshot.stages.compress.prune import _library\n"
        "try: _library()\nexcept ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "medshot[compress]"' in done.stdout
