"""A network with fewer channels than its class would give it."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part

Widths = tuple[int, int, int]  # channels out, channels in, groups
FORM = ("channels", "size", "scaling", "keeps_grid", "dims", "any_size", "begins_with_image")


@part("module", "pruned")
class Pruned(nn.Module):
    """`encoder`, whose layers are brought to the widths in `layers` when this is made.

    A row of `layers` is the name of a layer in `encoder`, its channels out, its channels in and
    its groups. What is left of the weights is not known here: they are loaded.
    """

    def __init__(
        self, *, encoder: nn.Module, layers: Sequence[Sequence[Any]], n_features: int
    ) -> None:
        super().__init__()
        for name, *widths in layers:
            _narrow(encoder.get_submodule(name), *widths)
        self.encoder, self.n_features = encoder, n_features
        self.transductive = bool(getattr(encoder, "transductive", False))
        for name in FORM:
            if hasattr(encoder, name):
                setattr(self, name, getattr(encoder, name))

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n f *t"]:
        """The features of images, in fewer channels than there were."""
        return self.encoder(x)


def widths(module: nn.Module) -> Widths | None:
    """The channels out and in and the groups of one layer; None if it has no such thing."""
    if isinstance(module, nn.modules.conv._ConvNd):
        return module.out_channels, module.in_channels, module.groups
    if isinstance(module, nn.Linear):
        return module.out_features, module.in_features, 1
    if isinstance(module, nn.GroupNorm):
        return module.num_channels, module.num_channels, module.num_groups
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return module.num_features, module.num_features, 1
    return None


def _narrow(module: nn.Module, out: int, into: int, groups: int) -> None:
    """Give one layer these widths, and tensors of zeros of the shapes that follow."""
    if isinstance(module, nn.modules.conv._ConvNd):
        module.out_channels, module.in_channels, module.groups = out, into, groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = out, into
    elif isinstance(module, nn.GroupNorm):
        module.num_channels, module.num_groups = out, groups
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        module.num_features = out
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.ndim:  # a batch normalisation counts its steps
            shape = _shape(module, tensor, out, into, groups)
            zeros = torch.zeros(shape, dtype=tensor.dtype)
            is_weight = isinstance(tensor, nn.Parameter)
            setattr(module, name, nn.Parameter(zeros) if is_weight else zeros)


def _shape(module: nn.Module, tensor: Tensor, out: int, into: int, groups: int) -> tuple[int, ...]:
    if tensor.ndim == 1:
        return (out,)
    if getattr(module, "transposed", False):
        return (into, out // groups, *tensor.shape[2:])
    return (out, into // groups, *tensor.shape[2:])
