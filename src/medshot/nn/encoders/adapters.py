"""Wrappers of encoders: pruned, pooled, hypercolumns, whitened."""

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import ConfigError, ShapeError, called, part
from medshot.nn.encoder import Encoder
from medshot.nn.heads import features

Widths = tuple[int, int, int]  # channels out, channels in, groups
FORM = ("channels", "size", "scaling", "keeps_grid", "dims", "any_size", "begins_with_image")


@part("module", "pruned")
class Pruned(nn.Module):
    """`encoder` with its layers narrowed to the widths in `layers`.

    A row of `layers` is the name of a layer in `encoder`, its output channels, its input channels
    and its groups. The remaining weights are loaded afterwards, from the state dict.
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
        """Features from the pruned encoder."""
        return self.encoder(x)


def widths(module: nn.Module) -> Widths | None:
    """Output channels, input channels and groups of one layer; None if it has none."""
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
    """Set one layer's widths, with zero tensors of the resulting shapes."""
    if isinstance(module, nn.modules.conv._ConvNd):
        module.out_channels, module.in_channels, module.groups = out, into, groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = out, into
    elif isinstance(module, nn.GroupNorm):
        module.num_channels, module.num_groups = out, groups
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        module.num_features = out
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.ndim:  # not batch norm's step counter
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
    """Global average pooling of `encoder`: one learner can do masks and image labels."""

    keeps_grid = False

    def __init__(self, *, encoder: nn.Module) -> None:
        super().__init__()
        inner: Any = encoder
        self.encoder = encoder
        self.n_features: int = inner.n_features
        self.transductive = bool(getattr(encoder, "transductive", False))

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n f"]:
        """Features of whole images."""
        return self.encoder(x).flatten(2).mean(2)


@part("module", "hypercolumns")
class Hypercolumns(Encoder):
    """Feature maps of all blocks of `encoder`, resized to the image and concatenated.

    So an encoder trained on image labels can be used for masks. The blocks are convolutional and
    take images of any `size`; each map is divided by its root mean square over channels, so that
    deep and shallow maps have the same scale. The scaled pixels come first.

    Source: Hariharan et al. 2015, arXiv:1411.5752 (hypercolumns, bilinear upsampling).

    Raises:
        ConfigError: an encoder without blocks (`conv4` has them).
    """

    source = "Hariharan et al. 2015, arXiv:1411.5752"
    keeps_grid = True

    def __init__(self, *, encoder: nn.Module, size: int = 128) -> None:
        blocks = getattr(encoder, "blocks", None)
        if not isinstance(encoder, Encoder) or not isinstance(blocks, nn.Sequential):
            raise ConfigError(
                f"{called(encoder)} has no blocks whose maps could be resized to the image. "
                "Use a learner on conv4, or one that was trained with masks."
            )
        super().__init__(encoder.channels, size, encoder.scaling)
        self.transductive = encoder.transductive
        self.encoder = encoder
        widths = [_width(block) for block in blocks]
        self.n_features = encoder.channels + sum(widths)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f h w"]:
        """Features of every pixel of images in [0, 1]."""
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
    """Output channels of a block: those of its last convolution."""
    return [part.out_channels for part in block.modules() if isinstance(part, nn.Conv2d)][-1]


TINY = 1e-8  # minimal squared norm, so that a block equal to the center stays near zero


@part("module", "whitened-blocks")
class WhitenedBlocks(nn.Module):
    """L2-normalized feature blocks, whitened and centered.

    For block b of an image, u_b = d_b / |d_b| with d_b = (I - V_b V_b') z_b - c_b. The rows of
    `factors` (f r) that belong to the block are V_b: directions of within-class variation are
    shrunk (within-class covariance normalization, Hatch, Kajarekar & Stolcke 2006,
    doi:10.21437/Interspeech.2006-183, of low rank). The overall scale is irrelevant, because d_b
    is normalized. `center` (f) is a point in the whitened space.
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
        """Normalized feature blocks, concatenated."""
        whitened = shortened(features(self.encoder, x, unit=False), self.factors, self.sizes)
        return torch.cat(normalized_blocks(whitened, self.center, self.sizes), 1)


def shortened(
    z: Float[Tensor, "n f"], factors: Float[Tensor, "f r"], sizes: Sequence[int]
) -> Float[Tensor, "n f"]:
    """Whiten each block: z_b - V_b V_b' z_b; unchanged if there are no factors."""
    if not factors.shape[1]:
        return z
    blocks = zip(z.split(list(sizes), 1), factors.split(list(sizes)), strict=True)
    return torch.cat([b - (b @ v) @ v.T for b, v in blocks], 1)


def normalized_blocks(
    whitened: Float[Tensor, "n f"], center: Float[Tensor, "f"], sizes: Sequence[int]
) -> list[Float[Tensor, "n d"]]:
    """Feature blocks minus `center`, each L2-normalized."""
    blocks = (whitened - center).split(list(sizes), 1)
    # clamp instead of adding TINY: the ONNX exporter drops so small a constant
    return [b / b.square().sum(1, keepdim=True).clamp(min=TINY).sqrt() for b in blocks]
