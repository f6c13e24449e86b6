"""MobileNets v1 and v2, in the form in which TensorFlow trained them."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import ConfigError
from medshot.core.parts import part
from medshot.nn.encoder import Encoder

Layer = Sequence[Any]  # op, name, channels out, kernel, stride, relu6, batch norm, bias
ADD = "add"
EXPAND = "_expand"
OPS = ("conv", "dwconv")
EPS = 1e-3  # of the batch normalisation in TensorFlow's files
V1 = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2)]


@part("encoder", "mobilenet")
class MobileNet(Encoder):
    """Convolutions that look at each channel alone, and between them mixtures of channels.

    Source: Howard et al. 2017, arXiv:1704.04861 (v1); Sandler et al. 2018, arXiv:1801.04381 (v2).

    `layers` is the architecture, from top to bottom: rows of op (`conv`, or `dwconv` with a kernel
    a channel), name, channels out, kernel, stride, and whether there are ReLU6, batch
    normalisation and a bias. A row `add` adds what went into the last layer whose name ends with
    `_expand`. Without `layers` it is a v1, `width` times as wide as the paper's. The features are
    the mean of the last map. What is normalised by batch keeps the statistics that it learnt with.

    Padding is TensorFlow's SAME, one more pixel at the bottom and the right where the two sides
    cannot be equal: with PyTorch's the weights would see every image shifted.
    """

    source = "Howard et al. 2017, arXiv:1704.04861; Sandler et al. 2018, arXiv:1801.04381"

    def __init__(
        self,
        *,
        channels: int = 3,
        size: int = 96,
        width: float = 0.25,
        layers: Sequence[Layer] = (),
        scaling: str = "signed",
    ) -> None:
        super().__init__(channels, size, scaling)
        self.order = [_checked(row) for row in layers or version_1(width)]
        self.layers = nn.ModuleDict()
        inputs, side = channels, size
        for op, *rest in self.order:
            if op == ADD:
                continue
            name, outputs, kernel, stride, *more = rest
            groups = inputs if op == "dwconv" else 1
            self.layers[name] = _Layer(inputs, outputs, kernel, stride, side, groups, *more)
            inputs, side = outputs, -(-side // stride)
        self.n_features = inputs

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """The features of images in [0, 1]."""
        z = before = self.scaled(x)
        for op, *rest in self.order:
            if op == ADD:
                z = z + before
                continue
            if rest[0].endswith(EXPAND):
                before = z
            z = self.layers[rest[0]](z)
        return z.mean((2, 3))


class _Layer(nn.Conv2d):
    """A convolution for squares of `side` pixels, and what follows it."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        side: int,
        groups: int,
        relu6: bool,
        normalised: bool,
        bias: bool,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=bias)
        missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        self.around = (missing // 2, missing - missing // 2) * 2
        self.bn = nn.BatchNorm2d(outputs, eps=EPS) if normalised else nn.Identity()
        self.after = nn.ReLU6() if relu6 else nn.Identity()

    def forward(self, input: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """Pad, convolve, normalise, clip."""
        return self.after(self.bn(super().forward(F.pad(input, self.around))))


def version_1(width: float) -> Iterator[Layer]:
    """The layers of a MobileNet v1 without its head."""
    before = _wide(32, width)
    yield "conv", "stem", before, 3, 2, True, True, False
    for i, (outputs, stride) in enumerate([*V1, (1024, 1)], 1):
        yield "dwconv", f"block{i}_dw", before, 3, stride, True, True, False
        before = _wide(outputs, width)
        yield "conv", f"block{i}_pw", before, 1, 1, True, True, False


def _wide(channels: int, width: float) -> int:
    return max(8, int(channels * width))


def _checked(row: Layer) -> list[Any]:
    """`row`, if it is a layer: what a file says is not taken on trust."""
    kinds = (str, str, int, int, int, bool, bool, bool)
    whole = [type(value) for value in row] == list(kinds)
    if list(row) != [ADD] and not (whole and row[0] in OPS and min(row[2:5]) > 0):
        raise ConfigError(
            f"{list(row)!r} is no layer of a MobileNet. A row is {ADD!r} alone, or an op "
            f"({' or '.join(OPS)}), a name, channels out, kernel and stride above 0, and three "
            "times true or false: ReLU6, batch normalisation, bias."
        )
    return list(row)
