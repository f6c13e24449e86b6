"""From scores of sites to a detector's maps: heat at the centres of objects, and their sizes."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core.parts import part
from medshot.core.predictor import Predictor
from medshot.nn.features import Head, features, on_grid, sites


@part("predictor", "centres")
class Centres(Predictor):
    """A head that tells centres of k classes from all else, and a size for each site.

    The head's first k scores are the classes'; its others are kinds of what is no centre. Of a
    class, the output is the logit against all else, plus its `offset` and `rare`. Then come the
    logarithms of width and height over `typical`: the mean of the class, corrected by a linear map
    of the features.
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
        """A logit a class and two log sizes, for every site."""
        return self.maps(features(self.head.encoder, x, unit=self.head.unit))

    def maps(self, z: Float[Tensor, "n f h w"]) -> Float[Tensor, "n o h w"]:
        """The same from features."""
        rows = sites(z)
        scores, k = self.head.answer(rows), len(self.sizes)
        others = [torch.cat([scores[:, :c], scores[:, c + 1 :]], 1) for c in range(k)]
        odds = [scores[:, c] - o.logsumexp(1) for c, o in enumerate(others)]
        mean = scores[:, :k].softmax(1) @ self.sizes
        size = mean + rows @ self.weight + self.bias - math.log(self.typical)
        return on_grid(torch.cat([torch.stack(odds, 1) + self.offset + self.rare, size], 1), z)
