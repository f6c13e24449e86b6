"""Mask refiner: a small U-Net that combines score maps of pixel classifiers into one mask."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import part
from medshot.nn.layers import norm

CELL = 4  # pixels a side that one position of the network reads and answers
STRIDE = 32  # the network pools cells three times by 2
SIDE = 128  # pixels a side at which it works at most: the size that it was trained at
LIMIT = 2.0  # margins are clipped to this
UNKNOWN = -1.0  # a Dice that could not be measured
BIAS = 4.0  # scale of the additive output
START = (2.0, 2.0, 2.0, 2.0, 2.0, 1.0)  # weights of the members before training


@part("module", "mask-refiner")
class MaskRefiner(nn.Module):
    """Logit of a class against all others, from the margins of several pixel classifiers.

    A margin is the score of the class minus the highest score of another class. With m_i the
    margin of member i at a pixel, the logit is

        sum_i (a_i + w_i) m_i + 4 b,

    where a_i is learned and the maps w_i and b are outputs of a U-Net (Ronneberger et al. 2015,
    arXiv:1505.04597). It reads the margins, features of the image and `support_numbers`, on
    cells of 4 x 4 pixels: its inputs and outputs are rearranged (pixel shuffle, Shi et al. 2016,
    arXiv:1609.05158), which keeps thin structures. It is the same for every class, and hence for
    any number of them. Images above 128 pixels are averaged down to that for the network, and its
    maps are interpolated; the margins keep their resolution.
    """

    def __init__(
        self, *, members: int, n_features: int, widths: Sequence[int] = (32, 40, 48, 64)
    ) -> None:
        super().__init__()
        self.members, self.n_features = members, n_features
        inputs = CELL**2 * members + n_features + 2 + members
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.down = nn.ModuleList(map(_level, (inputs, *widths[:-1]), widths))
        self.up = nn.ModuleList(_level(below + here, here) for below, here in pairs)
        self.head = nn.Conv2d(widths[0], CELL**2 * (members + 1), 1)
        for each in self.head.parameters():
            nn.init.zeros_(each)
        start = START if members == len(START) else (1.0,) * members
        self.weights = nn.Parameter(torch.tensor(start))
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("deviation", torch.ones(n_features))
        self.mean: Tensor
        self.deviation: Tensor

    def forward(
        self,
        margins: Float[Tensor, "n m h w"],
        image: Float[Tensor, "n f h w"],
        numbers: Float[Tensor, "n d"],
    ) -> Float[Tensor, "n h w"]:
        """Logits from margins, image features, and `support_numbers`."""
        margins = margins.clamp(-LIMIT, LIMIT)
        sides = [min(SIDE, -(-side // STRIDE) * STRIDE) for side in margins.shape[2:]]
        seen = self.read(_resized(margins, sides), _resized(image, sides), numbers)
        found = _resized(seen, list(margins.shape[2:]))
        weights, bias = found[:, : self.members], found[:, self.members]
        return ((self.weights[:, None, None] + weights) * margins).sum(1) + BIAS * bias

    def read(
        self, margins: Float[Tensor, "n m h w"], image: Float[Tensor, "n f h w"], numbers: Tensor
    ) -> Float[Tensor, "n m1 h w"]:
        """Maps of weights and bias; sides are multiples of 32."""
        cells = F.avg_pool2d(image, CELL)
        cells = (cells - self.mean[:, None, None]) / self.deviation[:, None, None]
        given = numbers[:, :, None, None].expand(-1, -1, *cells.shape[2:])
        z, levels = torch.cat([F.pixel_unshuffle(margins, CELL), cells, given], 1), []
        for i, level in enumerate(self.down):
            z = level(z if i == 0 else F.max_pool2d(z, 2))
            levels.append(z)
        for level, skip in zip(self.up, levels[-2::-1], strict=True):
            z = level(torch.cat([F.interpolate(z, scale_factor=2.0), skip], 1))
        return F.pixel_shuffle(self.head(z), CELL)


def support_numbers(
    images: int, share: Float[Tensor, "k"], dice: Float[Tensor, "k m"]
) -> Float[Tensor, "k d"]:
    """Number of support images and share of each class, both as scaled logarithms, and `dice`.

    `dice` is that of each member for each class by cross-validation, or `UNKNOWN`; d = 2 + m.
    """
    count = torch.full_like(share, images).log2() / 4
    return torch.cat([torch.stack([count, (share + 1e-3).log() / 4], 1), dice], 1)


def class_margins(scores: Float[Tensor, "n m k h w"]) -> Float[Tensor, "n k1 m h w"]:
    """Score of each foreground class minus the highest one of the other classes."""
    first, second = scores.topk(2, dim=2).values.unbind(2)
    other = torch.where(scores == first[:, :, None], second[:, :, None], first[:, :, None])
    return (scores - other)[:, :, 1:].transpose(1, 2)


def _resized(z: Float[Tensor, "n c h w"], sides: Sequence[int]) -> Float[Tensor, "n c s t"]:
    """Average down by a whole factor, else interpolate."""
    if list(z.shape[2:]) == list(sides):
        return z
    factor = z.shape[2] // sides[0]
    if factor > 1 and [side * factor for side in sides] == list(z.shape[2:]):
        return F.avg_pool2d(z, factor)
    return F.interpolate(z, list(sides), mode="bilinear")


def _level(inputs: int, outputs: int) -> nn.Sequential:
    first, second = (nn.Conv2d(n, outputs, 3, padding=1) for n in (inputs, outputs))
    return nn.Sequential(
        *(first, norm("group", outputs), nn.ReLU()),
        *(second, norm("group", outputs), nn.ReLU()),
    )
