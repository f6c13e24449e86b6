"""Conv4 as it is commonly written, for the peers: convolution, batch norm, ReLU, halving.

The layers are in the order of the papers and in the default memory layout; weights are copied
from our encoder, and images come already scaled (ink bright on dark).
"""

import torch
from torch import Tensor, nn

from medshot.core.episode import Episode
from medshot.nn import Conv4


class Mean(nn.Module):
    """The mean over space."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def conv4(ours: Conv4, *, pool: bool = True, running: bool = True) -> nn.Sequential:
    """The textbook network with the weights of `ours`; `running`: keeps batch statistics."""
    blocks = []
    for i in range(4):
        convolution = nn.Conv2d(64 if i else 1, 64, 3, 1 if pool else 2, padding=1)
        norm = nn.BatchNorm2d(64, track_running_stats=running)
        halving = [nn.MaxPool2d(2)] if pool else []
        blocks.append(nn.Sequential(convolution, norm, nn.ReLU(), *halving))
    network = nn.Sequential(*blocks, nn.Flatten() if pool else Mean())
    found = ours.blocks.state_dict()
    network.load_state_dict({name: value.clone() for name, value in found.items()})
    return network


def tensors(episode: Episode) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Support and query images, inverted, with their labels."""
    support, query = episode.support, episode.query
    return 1 - support.x, support.y, 1 - query.x, query.y


def double(episode: Episode) -> Episode:
    """The episode in float64, for checks that rounding cannot hide in."""
    like = torch.zeros((), dtype=torch.float64)
    return Episode(episode.task, episode.support.to(like), episode.query.to(like))
