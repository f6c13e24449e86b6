"""The same network without the channels that matter least.

Channels that are added to each other, or pass through one layer after another, go together: the
library Torch-Pruning follows them through the graph of a forward pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.compress.importance import energies, importance
from medshot.compress.units import is_grouped, per_group, units
from medshot.core.errors import ConfigError, TaskError
from medshot.core.registry import called
from medshot.nn.encoders.mobilenet import MobileNet


class Net(nn.Module):
    """An encoder and the linear layer that reads its features, of images or of sites."""

    def __init__(self, encoder: nn.Module, head: nn.Linear | nn.Conv2d | nn.Conv3d) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k *t"]:
        """The outputs of the head."""
        return self.head(self.encoder(x))


class Trunk(nn.Module):
    """An encoder whose features are of several depths, as one layer after the other.

    `kept` are the layers whose maps it reads: what is made of them needs all their channels.
    """

    def __init__(self, encoder: nn.Module, reader: MobileNet) -> None:
        super().__init__()
        self.encoder, self._reader = encoder, [reader]  # a list: no second name for its layers

    @property
    def kept(self) -> list[nn.Module]:
        """The layers whose channels stay."""
        return [self._reader[0].layers[name] for name in self._reader[0].depths]

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """The map after the last layer."""
        return self._reader[0].maps(x, ())[-1]


def remove_channels(
    net: Net | Trunk, x: Float[Tensor, "n c *s"], share: float, *, features_too: bool
) -> None:
    """Take `share` of the channels out of every layer of `net`, those that matter least for `x`.

    A channel matters as much as the layers that read it make of it: the sum over these of the
    squares of the weights that read it, times the mean square of what they read. Channels that are
    normalised as one group go together, so that the others are normalised as before. What the head
    gives stays, and so does what it reads, unless `features_too`; of a `Trunk` all that is read
    stays, in any case.

    Source: Sun et al. 2023, arXiv:2306.11695 (the score of one weight: its size times the norm of
    its input; here it is squared, and summed over all weights that read a channel); Fang et al.
    2023, arXiv:2301.12900 (which channels are tied to each other).

    Raises:
        TaskError: there is no layer that channels can be taken from.
        ConfigError: `share` is too small to take one from any layer.
    """
    graph = _library().DependencyGraph().build_dependency(net, x[:1], verbose=False)
    known = energies(net, x)
    plans = []
    for group in graph.get_all_groups(ignored_layers=[net.head] if isinstance(net, Net) else []):
        together = units(group)
        if together and _may_go(group, net, features_too):
            plans.append((group[0], _weakest(together, importance(group, known), share)))
    if not plans:
        raise TaskError(
            f"{called(net.encoder)} has no convolutions whose channels could be removed. "
            "Distil it (--distil small), or take a predictor with an encoder like conv4 or unet."
        )
    if not any(gone for _, gone in plans):
        raise ConfigError(f"A share of {share} takes no channel of any layer: take a larger one.")
    with _same_group_sizes(net):
        for root, gone in plans:
            if gone:
                graph.get_pruning_group(root.dep.target.module, root.dep.handler, gone).prune()


def _may_go(group: Any, net: Net | Trunk, features_too: bool) -> bool:
    """Whether none of the channels of `group` is one that must stay."""
    targets = [(item.dep.target.module, item.dep.handler.__name__) for item in group.items]
    if isinstance(net, Net):
        return features_too or all(module is not net.head for module, _ in targets)
    return not any(module in net.kept and "out_channels" in how for module, how in targets)


def _library() -> ModuleType:
    try:
        import torch_pruning  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError as error:
        what = f"Pruning needs the package {error.name}, which is not installed."
        raise ConfigError(f'{what} Type: pip install "medshot[compress]"') from error
    return torch_pruning


def _weakest(units: list[list[int]], scores: Tensor, share: float) -> list[int]:
    """The channels of the `share` of units whose sum of scores is lowest; one unit stays."""
    found = torch.stack([scores[unit].sum() for unit in units])
    order = found.argsort(stable=True)[: int(share * len(units) + 1e-9)]
    return sorted(channel for i in order.tolist() for channel in units[i])


@contextmanager
def _same_group_sizes(net: nn.Module) -> Iterator[None]:
    """What is cut in the block loses groups of its normalisation, not channels of a group."""
    norms = [m for m in net.modules() if isinstance(m, nn.GroupNorm) and is_grouped(m)]
    sizes = [per_group(norm) for norm in norms]
    yield
    for norm, size in zip(norms, sizes, strict=True):
        norm.num_groups = norm.num_channels // size
