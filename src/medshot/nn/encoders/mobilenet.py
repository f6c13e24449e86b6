"""MobileNet v1 and v2, as trained in TensorFlow; one comes with ImageNet weights."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load
from torch import Tensor, nn

from medshot.core import ConfigError, SaveError, part, unknown
from medshot.nn.encoder import Encoder

Layer = Sequence[Any]  # op, name, channels out, kernel, stride, relu6, batch norm, bias
ADD = "add"
EXPAND = "_expand"
OPS = ("conv", "dwconv")
EPS = 1e-3  # TensorFlow's batch-norm epsilon
LAST = 12  # blocks of the packaged network, without the 13th
PACKAGED = Path(__file__).with_name("weights") / "mobilenet_v1.safetensors"
SHA256 = "8e742b8d494cac49b796a38ddea6b0ed0f600455ee53bee84d0f87b582f52d37"
DEPTHS = ("block5_pw", "block7_pw", "block9_pw", "block11_pw", "block12_pw")
N_STATISTICS = 10
WIDEST = 2.0
TINY = 1e-6  # added under square roots, for a finite gradient at 0
V1 = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2)]


@part("encoder", "mobilenet")
class MobileNet(Encoder):
    """Depthwise separable convolutions: depthwise and pointwise layers in turn.

    Source: Howard et al. 2017, arXiv:1704.04861 (v1); Sandler et al. 2018, arXiv:1801.04381 (v2).
    The default is the packaged network: v1 at width 1, up to block 12 of 13, with batch
    normalization folded into the convolutions. `encoder("mobilenet")` has its ImageNet weights,
    the class alone has random ones. `layers` defines another architecture, one row per layer: op
    (`conv`, or `dwconv` for depthwise), name, output channels, kernel, stride, and whether there
    are ReLU6, batch normalization and a bias. A row `add` adds the input of the last layer whose
    name ends with `_expand`. Another `width` gives an untrained v1 with that width multiplier.
    Batch normalization uses its running statistics.

    `depths` names the layers whose maps are pooled. Each gives two feature blocks, mean and
    standard deviation over the map, each L2-normalized; a last block holds statistics of color
    and intensity (`global_statistics`), which the other blocks lose. `block_sizes` are the sizes
    of the blocks. With `depths=()`, the features are the mean over the last map. None means five
    depths for the packaged network and none for others.

    Padding is TensorFlow's SAME, with the extra pixel at the bottom and right: PyTorch's symmetric
    padding would shift images relative to the weights. For one-channel images, the kernels of the
    first layer are summed over channels.
    """

    source = "Howard et al. 2017, arXiv:1704.04861; Sandler et al. 2018, arXiv:1801.04381"

    def __init__(
        self,
        *,
        channels: int = 3,
        size: int = 128,
        width: float = 1.0,
        layers: Sequence[Layer] = (),
        scaling: str = "signed",
        depths: Sequence[str] | None = None,
    ) -> None:
        super().__init__(channels, size, scaling)
        if not 0 < width <= WIDEST:
            raise ConfigError(
                f"width is {width}, but a width multiplier is above 0 and at most {WIDEST}."
            )
        self.packaged = not layers and width == 1
        rows = layers or (_packaged_layers() if self.packaged else version_1(width))
        self.order = [_checked(row) for row in rows]
        self.layers = nn.ModuleDict()
        inputs, side, widths = channels, size, {}
        for op, *rest in self.order:
            if op == ADD:
                continue
            name, outputs, kernel, stride, *more = rest
            groups = inputs if op == "dwconv" else 1
            self.layers[name] = _Layer(inputs, outputs, kernel, stride, side, groups, *more)
            inputs, side = outputs, -(-side // stride)
            widths[name] = outputs
        chosen = (DEPTHS if self.packaged else ()) if depths is None else tuple(depths)
        for name in chosen:
            if name not in widths:
                raise unknown(name, widths, kind="layer")
        self.depths = chosen
        read = [widths[name] for name in chosen for _ in ("mean", "deviation")]
        self.block_sizes = (*read, N_STATISTICS) if chosen else (inputs,)
        self.n_features = sum(self.block_sizes)

    def pretrained(self) -> "MobileNet":
        """Self, with the packaged weights loaded if this is their architecture.

        Raises:
            SaveError: the file of weights is missing or damaged.
        """
        if self.packaged:
            found = {f"layers.{name}": t.float() for name, t in _packaged_weights().items()}
            stem = found["layers.stem.weight"]
            found["layers.stem.weight"] = stem if self.channels == 3 else stem.sum(1, keepdim=True)
            self.load_state_dict(found)
            self.about = {
                "origin": "ImageNet (MobileNetV1 to block 12, in the package)",
                "file": PACKAGED.name,
                "file_sha256": SHA256,
            }
        return self

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """Features of images in [0, 1]."""
        if not self.depths:
            return self.maps(x, ())[-1].mean((2, 3))
        found: list[Tensor] = []
        for z in self.maps(x, self.depths):
            flat = z.flatten(2)
            found += [normalized_rows(flat.mean(2)), normalized_rows(_deviation(flat))]
        return torch.cat([*found, global_statistics(x)], 1)

    def maps(self, x: Float[Tensor, "n c h w"], names: Sequence[str]) -> list[Tensor]:
        """Feature maps `n d i j` after the layers in `names`; without any, the last."""
        return self.onward(self.scaled(x), names)

    def onward(
        self, z: Float[Tensor, "n c h w"], names: Sequence[str], after: str | None = None
    ) -> list[Tensor]:
        """The same, starting from the map after layer `after`, or from a scaled image.

        Layers after the last of `names` are not computed.
        """
        before = z
        if not torch.is_grad_enabled():  # twice as fast on CPUs
            z = z.contiguous(memory_format=torch.channels_last)
        found: list[Tensor] = []
        for op, *rest in self.order[1 + self.place(after) if after else 0 :]:
            if op == ADD:
                z = z + before
                continue
            if rest[0].endswith(EXPAND):
                before = z
            z = self.layers[rest[0]](z)
            if rest[0] in names:
                found.append(z)
            if len(found) == len(names) > 0:
                break
        return found or [z]

    def place(self, name: str) -> int:
        """Index of the layer called `name` in `order`."""
        return [row[1:2] for row in self.order].index([name])


class _Layer(nn.Conv2d):
    """Convolution with SAME padding for squares of `side` pixels, normalization, activation."""

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
        missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        before, after = missing // 2, missing - missing // 2
        same = before if before == after else 0
        super().__init__(inputs, outputs, kernel, stride, padding=same, groups=groups, bias=bias)
        self.around = (0, 0, 0, 0) if before == after else (before, after) * 2
        self.bn = nn.BatchNorm2d(outputs, eps=EPS) if normalised else nn.Identity()
        self.after = nn.ReLU6(inplace=True) if relu6 else nn.Identity()

    def forward(self, input: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """Pad, convolve, normalize, clip."""
        padded = F.pad(input, self.around) if any(self.around) else input
        return self.after(self.bn(super().forward(padded)))


def global_statistics(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n s"]:
    """Ten color and contrast statistics of images in [0, 1].

    Mean and standard deviation of red, green and blue; standard deviation of red - green and
    blue - green; mean absolute difference of neighbors along both axes. One channel counts as
    three equal ones.
    """
    color = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
    flat = color.flatten(2)
    chroma = torch.stack([flat[:, 0] - flat[:, 1], flat[:, 2] - flat[:, 1]], 1)
    across = (color[..., 1:] - color[..., :-1]).abs().mean((1, 2, 3))
    down = (color[..., 1:, :] - color[..., :-1, :]).abs().mean((1, 2, 3))
    spread = [_deviation(flat), _deviation(chroma)]
    return torch.cat([flat.mean(2), *spread, across[:, None], down[:, None]], 1)


def _deviation(flat: Float[Tensor, "n c p"]) -> Float[Tensor, "n c"]:
    centered = flat - flat.mean(2, keepdim=True)
    return (centered.square().mean(2) + TINY).sqrt()


def normalized_rows(z: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
    """L2-normalized rows."""
    return z / (z.square().sum(1, keepdim=True) + TINY).sqrt()


def _packaged_layers() -> Iterator[Layer]:
    """Layers of the packaged network, with batch normalization folded in."""
    for op, name, outputs, kernel, stride, *_ in version_1(1.0):
        if not name.startswith(f"block{LAST + 1}"):
            yield op, name, outputs, kernel, stride, True, False, True


def _packaged_weights() -> dict[str, Tensor]:
    try:
        content = PACKAGED.read_bytes()
    except OSError as error:
        raise SaveError(
            f"{PACKAGED} is missing from the installed package ({error.strerror}). Install it "
            "again: pip install --force-reinstall medshot"
        ) from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SaveError(
            f"{PACKAGED} is not the packaged file (its SHA-256 differs): truncated or "
            "modified. Install it again: pip install --force-reinstall medshot"
        )
    return load(content)


def version_1(width: float) -> Iterator[Layer]:
    """Layers of a MobileNet v1 without its head."""
    before = _wide(32, width)
    yield "conv", "stem", before, 3, 2, True, True, False
    for i, (outputs, stride) in enumerate([*V1, (1024, 1)], 1):
        yield "dwconv", f"block{i}_dw", before, 3, stride, True, True, False
        before = _wide(outputs, width)
        yield "conv", f"block{i}_pw", before, 1, 1, True, True, False


def _wide(channels: int, width: float) -> int:
    return max(8, int(channels * width))


def _checked(row: Layer) -> list[Any]:
    """Validate a row of `layers`, which may come from an untrusted file."""
    types = (str, str, int, int, int, bool, bool, bool)
    whole = [type(value) for value in row] == list(types)
    if list(row) != [ADD] and not (whole and row[0] in OPS and min(row[2:5]) > 0):
        raise ConfigError(
            f"{list(row)!r} is no layer of a MobileNet. A row is {ADD!r} alone, or an op "
            f"({' or '.join(OPS)}), a name, output channels, kernel and stride above 0, and three "
            "booleans: ReLU6, batch normalization, bias."
        )
    return list(row)
