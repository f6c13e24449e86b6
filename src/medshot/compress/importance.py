"""How much every channel matters: what the layers that read it make of it."""

from collections import defaultdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Energies = dict[nn.Module, Tensor]  # each of as many numbers as it reads channels


@torch.no_grad()
def energies(net: nn.Module, x: Tensor) -> Energies:
    """The mean square of every channel that a layer of `net` reads."""
    found: dict[nn.Module, Any] = defaultdict(float)

    def note(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        axis = -1 if isinstance(module, nn.Linear) else 1
        squares = given[0].movedim(axis, 0).flatten(1).square().mean(1)
        found[module] += squares * len(given[0])

    readers = [m for m in net.modules() if _reads(m)]
    hooks = [m.register_forward_pre_hook(note) for m in readers]
    for part in x.split(16):
        net(part)
    for hook in hooks:
        hook.remove()
    return {module: energy / len(x) for module, energy in found.items()}


def _reads(module: nn.Module) -> bool:
    """Whether each of its outputs is a sum over all channels: a convolution, a linear layer."""
    mixes = isinstance(module, nn.modules.conv._ConvNd | nn.Linear)
    return mixes and getattr(module, "groups", 1) == 1


def importance(group: Any, known: Energies) -> Float[Tensor, "c"]:
    """How much each channel of the group's first layer matters."""
    scores = torch.zeros(1 + max(group[0].idxs), dtype=torch.float64)
    for item in group.items:
        layer = item.dep.target.module
        if layer in known and "in_channels" in item.dep.handler.__name__:
            weight = layer.weight.detach()
            axis = 0 if getattr(layer, "transposed", False) else 1
            read = weight.movedim(axis, 0).flatten(1).square().sum(1) * known[layer]
            scores.index_add_(0, torch.tensor(item.root_idxs), read.cpu().double()[item.idxs])
    return scores
