"""A network with fewer channels than its class would give it.

From an encoder that keeps the grid to one of whole images.

From an encoder of whole images to one that keeps the grid: what each layer saw at each pixel.

Features block by block: whitened by what is known of other tasks, centered, of unit length.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import ConfigError, ShapeError
from medshot.core.registry import called, part
from medshot.nn.encoder import Encoder
from medshot.nn.heads import features

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


@part("module", "pooled")
class Pooled(nn.Module):
    """The mean over all sites of what `encoder` gives each: one learner may do masks and labels."""

    keeps_grid = False

    def __init__(self, *, encoder: nn.Module) -> None:
        super().__init__()
        inner: Any = encoder
        self.encoder = encoder
        self.n_features: int = inner.n_features
        self.transductive = bool(getattr(encoder, "transductive", False))

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n f"]:
        """The features of images as a whole."""
        return self.encoder(x).flatten(2).mean(2)


@part("module", "hypercolumns")
class Hypercolumns(Encoder):
    """The maps of all blocks of `encoder`, spread to the grid of the image, one below the other.

    So what was learned from labels of whole images can serve masks. The blocks are convolutions,
    which see images of any `size`; each map is divided by its root mean square over channels, so
    that deep and shallow ones count alike, and the scaled pixels come first.

    Source: Hariharan et al. 2015, arXiv:1411.5752 (the columns, spread bilinearly).

    Raises:
        ConfigError: an encoder without blocks (`conv4` has them).
    """

    source = "Hariharan et al. 2015, arXiv:1411.5752"
    keeps_grid = True

    def __init__(self, *, encoder: nn.Module, size: int = 128) -> None:
        blocks = getattr(encoder, "blocks", None)
        if not isinstance(encoder, Encoder) or not isinstance(blocks, nn.Sequential):
            raise ConfigError(
                f"{called(encoder)} has no blocks whose maps could be laid on the grid. "
                "Take a learner on conv4, or one that was trained with masks."
            )
        super().__init__(encoder.channels, size, encoder.scaling)
        self.transductive = encoder.transductive
        self.encoder = encoder
        widths = [_width(block) for block in blocks]
        self.n_features = encoder.channels + sum(widths)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f h w"]:
        """The features of every pixel of images in [0, 1]."""
        z = self.scaled(x)
        columns = [z]
        for block in self._blocks():
            z = block(z)
            even = z / (z.square().mean(1, keepdim=True) + 1e-4).sqrt()
            columns.append(F.interpolate(even, x.shape[2:], mode="bilinear"))
        return torch.cat(columns, 1)

    def _blocks(self) -> nn.Sequential:
        return cast(nn.Sequential, self.encoder.blocks)


def _width(block: nn.Module) -> int:
    """The channels that a block gives: those of its last convolution."""
    return [part.out_channels for part in block.modules() if isinstance(part, nn.Conv2d)][-1]


TINY = 1e-8  # least sum of squares: a block at the center, up to rounding, stays near zero


@part("module", "whitened-blocks")
class WhitenedBlocks(nn.Module):
    """Directions of the feature blocks of an encoder about a center, in a whitened space.

    For block b of an image, u_b = d_b / |d_b| with d_b = (I - V_b V_b') z_b - c_b. The rows of
    `factors` (f r) that belong to the block are V_b: directions in which images of one class differ
    are shortened (within-class covariance normalization, Hatch, Kajarekar & Stolcke 2006,
    doi:10.21437/Interspeech.2006-183, of low rank). Its scale is of no matter, because d_b is
    divided by its length. `center` (f) is a point in the whitened space.
    """

    factors: Tensor
    center: Tensor

    def __init__(
        self,
        *,
        encoder: nn.Module,
        sizes: Sequence[int],
        factors: Float[Tensor, "f r"],
        center: Float[Tensor, "f"],
    ) -> None:
        super().__init__()
        if not sum(sizes) == len(factors) == len(center):
            raise ShapeError(
                f"Blocks of {sum(sizes)} features in all do not fit factors for {len(factors)} and "
                f"a center of {len(center)}."
            )
        self.encoder, self.sizes = encoder, tuple(sizes)
        self.n_features = sum(sizes)
        self.transductive = bool(getattr(encoder, "transductive", False))
        self.register_buffer("factors", factors)
        self.register_buffer("center", center)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n f"]:
        """Directions of images."""
        whitened = shortened(features(self.encoder, x, unit=False), self.factors, self.sizes)
        return torch.cat(directions(whitened, self.center, self.sizes), 1)


def shortened(
    z: Float[Tensor, "n f"], factors: Float[Tensor, "f r"], sizes: Sequence[int]
) -> Float[Tensor, "n f"]:
    """Each block z_b less V_b V_b' z_b: as it is where there are no factors."""
    if not factors.shape[1]:
        return z
    blocks = zip(z.split(list(sizes), 1), factors.split(list(sizes)), strict=True)
    return torch.cat([b - (b @ v) @ v.T for b, v in blocks], 1)


def directions(
    whitened: Float[Tensor, "n f"], center: Float[Tensor, "f"], sizes: Sequence[int]
) -> list[Float[Tensor, "n d"]]:
    """The blocks of features about `center`, each divided by its length."""
    blocks = (whitened - center).split(list(sizes), 1)
    # no sum with TINY: what converts to ONNX takes so small a number for 0, and leaves it out
    return [b / b.square().sum(1, keepdim=True).clamp(min=TINY).sqrt() for b in blocks]
