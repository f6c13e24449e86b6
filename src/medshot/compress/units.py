"""Which channels can only go together, because one normalisation groups them."""

from collections import defaultdict
from typing import Any

from torch import nn

from medshot.nn.encoders.adapters import widths


def units(group: Any) -> list[list[int]]:
    """The channels of the group's first layer, those that must go together side by side.

    None at all where something reads them that cannot be cut.
    """
    layers = [item.dep.target.module for item in group.items]
    if any(_cannot_be_cut(layer) for layer in layers):
        return []
    norms = [i for i in group.items if is_grouped(i.dep.target.module)]
    label = {c: c for c in group[0].idxs}
    if norms:
        coarsest = max(norms, key=lambda item: per_group(item.dep.target.module))
        label = _labels(coarsest)
    found: dict[int, list[int]] = defaultdict(list)
    for channel in group[0].idxs:
        found[label[channel]].append(channel)
    together = list(found.values())
    return together if all(_whole(u, item) for u in together for item in norms) else []


def _cannot_be_cut(layer: Any) -> bool:
    if isinstance(layer, nn.Parameter):
        return True
    known = widths(layer)
    if known is None:
        return any(True for _ in layer.parameters())
    return isinstance(layer, nn.modules.conv._ConvNd) and layer.groups not in (1, layer.in_channels)


def is_grouped(layer: Any) -> bool:
    """Whether it normalises several groups of channels, each by itself."""
    return isinstance(layer, nn.GroupNorm) and layer.num_groups > 1


def per_group(norm: nn.GroupNorm) -> int:
    """How many channels are normalised together."""
    return norm.num_channels // norm.num_groups


def _labels(item: Any) -> dict[int, int]:
    """In which group of a normalisation each channel of the first layer is."""
    per = per_group(item.dep.target.module)
    return {root: i // per for root, i in zip(item.root_idxs, item.idxs, strict=True)}


def _whole(unit: list[int], item: Any) -> bool:
    """Whether a normalisation's groups are in the unit with all their channels, or not at all."""
    labels = _labels(item)
    inside = [labels[c] for c in unit if c in labels]
    per = per_group(item.dep.target.module)
    return all(inside.count(label) == per for label in set(inside))
