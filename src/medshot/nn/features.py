"""Features of images, or of every site of an image, and the predictors that answer from them.

Most encoders give an image one row of features, `n f`. One that keeps the grid gives a row to each
site of it (a pixel, a voxel), `n f *s`: then a site is what an image is elsewhere.
"""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from medshot.core.errors import ShapeError
from medshot.core.predictor import Predictor


class Head(Predictor, ABC):
    """Answers from the features of images or sites: a subclass writes `answer`.

    What was `fitted` is kept as buffers. With `unit`, features are divided by their L2 norm.
    """

    def __init__(self, encoder: nn.Module, *, unit: bool = False, **fitted: Tensor) -> None:
        super().__init__()
        self.encoder, self.unit = encoder, unit
        self.transductive = bool(getattr(encoder, "transductive", False))
        for name, tensor in fitted.items():
            self.register_buffer(name, tensor)

    @abstractmethod
    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """A score a class, from features."""

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k *t"]:
        """A score a class for every image, or for each of its sites."""
        z = features(self.encoder, x, unit=self.unit)
        return on_grid(self.answer(sites(z)), z)


def features(encoder: nn.Module, x: Tensor, unit: bool) -> Float[Tensor, "n f *t"]:
    """Features of `x`, never in half precision; with `unit`, each divided by its L2 norm."""
    z = encoder(x)
    z = z.float() if z.dtype in (torch.bfloat16, torch.float16) else z
    return F.normalize(z, dim=1) if unit else z


def sites(z: Shaped[Tensor, "n f *t"]) -> Shaped[Tensor, "m f"]:
    """The rows of all sites of all images, one below the other; images alone stay as they are."""
    return z.movedim(1, -1).flatten(0, -2)


def on_grid(
    rows: Shaped[Tensor, "m k"], like: Shaped[Tensor, "n f *t"]
) -> Shaped[Tensor, "n k *t"]:
    """The inverse of `sites`: rows laid out on the grid of `like`."""
    return rows.unflatten(0, (len(like), *like.shape[2:])).movedim(-1, 1)


def labelled_sites(
    z: Float[Tensor, "n f *t"], y: Shaped[Tensor, "n ..."]
) -> tuple[Float[Tensor, "m f"], Shaped[Tensor, "m ..."]]:
    """Rows of features with a target each; sites that nobody has labelled (-1) are left out.

    The target of a whole image may be a row itself.

    Where targets are images, `n k *t`, a row of k numbers each.

    Raises:
        ShapeError: the features are on another grid than the labels.
    """
    if z.ndim == 2 and y.ndim <= 2:
        return z, y
    images = y.is_floating_point() and y.ndim == z.ndim
    grid = y.shape[2:] if images else y.shape[1:]
    if z.shape[2:] != grid:
        raise ShapeError(
            f"The encoder gives features on a grid of {_sides(z.shape[2:])}, and the labels are on "
            f"one of {_sides(grid)}. For masks, take an encoder that keeps the grid "
            '(encoder="unet"); for labels of whole images, one that does not ("conv4").'
        )
    if images:
        return sites(z), sites(y)
    rows, labels = sites(z), y.flatten()
    known = labels >= 0
    return rows[known], labels[known]


def _sides(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "one site"
