"""A comparison that is learnt: how well an image's feature map goes with that of a class."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import unknown
from medshot.core.parts import part
from medshot.nn.features import Head
from medshot.nn.norm import norm

NORMS = ("batch", "group", "none")

Sides = tuple[int, int]


@part("module", "relation")
class Relation(nn.Module):
    """Two blocks of convolution, normalisation, SiLU and halving, then two linear maps.

    Source: Sung et al. 2018, arXiv:1711.06025, the relation module g. It gives the log-odds of the
    paper's score r, ln(r / (1 - r)). `map_shape` (c, h, w) is the form that the features have as a
    map; features that are none are (f, 1, 1), and have one block, whose convolution is linear.

    The paper convolves the two maps as one of 2 c channels. A convolution of two halves is the sum
    of those of each half: here each map is convolved once and then added in pairs, which is the
    same function for a fraction of the work.

    Where we differ: SiLU is a smooth ReLU, so that finite differences can check the gradient. With
    `cosine`, so many times the cosine of the features is added, less a half; its factor is learnt.
    """

    def __init__(
        self,
        map_shape: Sequence[int],
        width: int = 64,
        hidden: int = 8,
        norm: str = "group",
        cosine: float = 0.0,
    ) -> None:
        super().__init__()
        if norm not in NORMS:  # "transductive": queries would change each other's answers
            raise unknown(norm, NORMS, kind="normalisation policy of a relation")
        self.map_shape = channels, height, breadth = tuple(map_shape)
        whole = (height, breadth)
        half, quarter = _halved(whole), _halved(_halved(whole))
        self.of_image = _convolution(channels, width, whole)
        self.of_class = _convolution(channels, width, whole, bias=False)  # one is enough for both
        self.first = _after(width, whole, norm)
        second = nn.Sequential(_convolution(width, width, half), _after(width, half, norm))
        self.second = nn.Identity() if whole == (1, 1) else second
        inputs, last = width * quarter[0] * quarter[1], nn.Linear(hidden, 1)
        self.score = nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), nn.SiLU(), last)
        self.cosine = nn.Parameter(torch.tensor(float(cosine))) if cosine else None
        if cosine:
            nn.init.constant_(last.bias, -cosine / 2)

    def forward(
        self, z: Float[Tensor, "n f"], centres: Float[Tensor, "k f"]
    ) -> Float[Tensor, "n k"]:
        """The log-odds that an image and a class belong together, for every pair."""
        images = self.of_image(z.unflatten(1, self.map_shape))
        classes = self.of_class(centres.unflatten(1, self.map_shape))
        pairs = (images[:, None] + classes).flatten(0, 1)
        odds = self.score(self.second(self.first(pairs))).view(len(z), len(centres)).to(z.dtype)
        return odds if self.cosine is None else odds + self.cosine * _cosines(z, centres)


@part("predictor", "relation")
class Related(Head):
    """The log-odds that an image belongs with each class, by a learnt comparison.

    A softmax over them gives each class its part of the odds r / (1 - r): the most probable is
    the one of the highest score r.
    """

    centres: Tensor

    def __init__(
        self, encoder: nn.Module, centres: Float[Tensor, "k f"], relation: Relation
    ) -> None:
        super().__init__(encoder, centres=centres)
        self.relation = relation

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """The log-odds of each class."""
        return self.relation(z, self.centres)


def _cosines(z: Tensor, centres: Tensor) -> Tensor:
    with torch.autocast(z.device.type, enabled=False):
        return F.normalize(z, dim=1) @ F.normalize(centres, dim=1).T


def _halved(sides: Sides) -> Sides:
    return max(1, sides[0] // 2), max(1, sides[1] // 2)


def _convolution(inputs: int, outputs: int, sides: Sides, bias: bool = True) -> nn.Conv2d:
    beside = min(1, sides[0] - 1), min(1, sides[1] - 1)  # nothing lies beside a single pixel
    kernel = 1 + 2 * beside[0], 1 + 2 * beside[1]
    return nn.Conv2d(inputs, outputs, kernel, padding=beside, bias=bias)


def _after(width: int, sides: Sides, policy: str) -> nn.Sequential:
    halve = nn.MaxPool2d((min(2, sides[0]), min(2, sides[1])))
    return nn.Sequential(norm(policy, width), nn.SiLU(), halve)
