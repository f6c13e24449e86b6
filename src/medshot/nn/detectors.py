"""Detection heads: heatmaps of object centers, and box sizes."""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import Predictor, part
from medshot.nn.heads import Head, features, rows_to_grid, sites


@part("predictor", "centres")
class Centers(Predictor):
    """Center heatmaps from a classification head on sites, plus a size regression.

    The head's first k scores are the classes'; the others are kinds of background. The output for
    a class is its logit against all other scores, plus `offset` and `rare`. Then follow log width
    and log height relative to `typical`: the class mean plus a linear function of the features.
    """

    sizes: Tensor
    weight: Tensor
    bias: Tensor
    offset: Tensor

    def __init__(
        self,
        head: Head,
        sizes: Float[Tensor, "k 2"],
        weight: Float[Tensor, "f 2"],
        bias: Float[Tensor, "2"],
        offset: Float[Tensor, "k"],
        rare: float = 0.0,
        typical: float = 1.0,
    ) -> None:
        super().__init__()
        self.head, self.rare, self.typical = head, rare, typical
        self.transductive = head.transductive
        fitted = {"sizes": sizes, "weight": weight, "bias": bias, "offset": offset}
        for name, tensor in fitted.items():
            self.register_buffer(name, tensor)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n o h w"]:
        """Class logits and two log sizes, per site."""
        return self.maps(features(self.head.encoder, x, unit=self.head.unit))

    def maps(self, z: Float[Tensor, "n f h w"]) -> Float[Tensor, "n o h w"]:
        """The same from features."""
        rows = sites(z)
        scores, k = self.head.on_features(rows), len(self.sizes)
        others = [torch.cat([scores[:, :c], scores[:, c + 1 :]], 1) for c in range(k)]
        odds = [scores[:, c] - o.logsumexp(1) for c, o in enumerate(others)]
        mean = scores[:, :k].softmax(1) @ self.sizes
        size = mean + rows @ self.weight + self.bias - math.log(self.typical)
        return rows_to_grid(torch.cat([torch.stack(odds, 1) + self.offset + self.rare, size], 1), z)


class Responses(Predictor, ABC):
    """Detection maps from one response per class; a subclass implements `respond`.

    The logit of a class is its response times `gain` plus `offset` and `rare`; the log size,
    relative to `typical`, is the class mean, weighted by the class probabilities at the site.
    """

    gain: Tensor
    offset: Tensor
    sizes: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        gain: Float[Tensor, "k"],
        offset: Float[Tensor, "k"],
        sizes: Float[Tensor, "k 2"],
        rare: float,
        typical: float,
    ) -> None:
        super().__init__()
        self.encoder, self.rare, self.typical = encoder, rare, typical
        self.transductive = bool(getattr(encoder, "transductive", False))
        for name, tensor in (("gain", gain), ("offset", offset), ("sizes", sizes)):
            self.register_buffer(name, tensor)

    @abstractmethod
    def respond(self, z: Float[Tensor, "n f h w"]) -> Float[Tensor, "n k h w"]:
        """Similarity of each site to the center of an object of each class."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n o h w"]:
        """Class logits and two log sizes, per site."""
        logits = self.respond(self.encoder(x)) * self.gain[:, None, None]
        logits = logits + self.offset[:, None, None]
        sizes = torch.einsum("nkhw,kd->ndhw", logits.softmax(1), self.sizes)
        return torch.cat([logits + self.rare, sizes - math.log(self.typical)], 1)
