"""What comes after an encoder once a task is learned: linear maps and prototypes.

Each is a predictor whose adapted tensors are buffers; nothing here knows support or query.

Features of images, or of every site of an image, and the predictors that answer from them.

Most encoders give an image one row of features, `n f`. One that keeps the grid gives a row to each
site of it (a pixel, a voxel), `n f *s`: then a site is what an image is elsewhere.

Prototypes as a linear head: a start that other weights can be added to.

A predictor that answers from what a network remembers of the examples that it has read.

Predictors that answer from a memory: what was written, and the module that reads it.
"""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from medshot.core.errors import ShapeError
from medshot.core.predictor import Predictor
from medshot.core.registry import part


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


def labeled_sites(
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


@part("predictor", "linear")
class Linear(Head):
    """`features @ weight + bias`."""

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        weight: Float[Tensor, "f k"],
        bias: Float[Tensor, "k"],
        unit: bool = False,
    ) -> None:
        super().__init__(encoder, unit=unit, weight=weight, bias=bias)

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """A logit a class."""
        return z @ self.weight + self.bias


@part("predictor", "prototypes")
class Prototypes(Head):
    """Minus the squared Euclidean distance (its `root`) to one prototype a class, times `scale`."""

    prototypes: Tensor
    scale: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        prototypes: Float[Tensor, "k f"],
        scale: Float[Tensor, ""],
        unit: bool = False,
        root: bool = False,
    ) -> None:
        super().__init__(encoder, unit=unit, prototypes=prototypes, scale=scale)
        self.root = root

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Minus the scaled distance to each class."""
        return -self.scale * distances(z, self.prototypes, self.root)


def distances(
    z: Float[Tensor, "n f"], centres: Float[Tensor, "k f"], root: bool = False
) -> Float[Tensor, "n k"]:
    """Squared Euclidean distances, or with `root` the plain ones."""
    found = squared_distances(z, centres)
    # at distance 0 the root has no slope
    return found.clamp(min=1e-6).sqrt() if root else found


def squared_distances(
    z: Float[Tensor, "n f"], centres: Float[Tensor, "k f"]
) -> Float[Tensor, "n k"]:
    """|z - c|^2 as |z|^2 - 2 z.c + |c|^2: no tensor of n x k x f is ever made."""
    with torch.autocast(z.device.type, enabled=False):  # a difference of large numbers
        cross = z @ centres.T
        return z.square().sum(1, keepdim=True) - 2 * cross + centres.square().sum(1)


def class_means(z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"]) -> Float[Tensor, "k f"]:
    """The mean feature of each class; `labels` are rows of 0 and 1."""
    with torch.autocast(z.device.type, enabled=False):
        return labels.T @ z / labels.sum(0)[:, None]


def zero_head(n_features: int, k: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """A linear head that prefers no class: weight `f k` and bias `k`, all zero."""
    return torch.zeros(n_features, k).to(like), torch.zeros(k).to(like)


def prototype_head(
    z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"], scale: Tensor | float
) -> tuple[Float[Tensor, "f k"], Float[Tensor, "k"]]:
    """Weight and bias that decide as minus `scale` times the squared distance to the class means.

    Source: Snell et al. 2017, arXiv:1703.05175 (as a linear model): of -s |z - c|^2 the part
    -s |z|^2 is the same for all classes, and 2 s z.c - s |c|^2 is left.
    """
    centres = class_means(z, labels)
    with torch.autocast(z.device.type, enabled=False):
        return 2 * scale * centres.T, -scale * centres.square().sum(1)


class Reader(nn.Module, ABC):
    """Reads labelled features once, and then answers about any number of others.

    `way` is how many classes its label codes can name.
    """

    @abstractmethod
    def remember(self, z: Float[Tensor, "m f"], labels: Float[Tensor, "m k"]) -> Tensor:
        """All that an answer needs of the support; k is at most `way`."""

    @abstractmethod
    def answer(self, z: Float[Tensor, "n f"], memory: Tensor) -> Float[Tensor, "n way"]:
        """Scores of each of `z`, whatever the others are."""


@part("predictor", "reading")
class InContextPredictor(Head):
    """What `reader` answers from `memory`, plus a linear head: `features @ weight + bias`."""

    reader: Reader
    memory: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        reader: Reader,
        memory: Float[Tensor, "..."],
        weight: Float[Tensor, "f k"],
        bias: Float[Tensor, "k"],
    ) -> None:
        super().__init__(encoder, memory=memory, weight=weight, bias=bias)
        self.reader = reader

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """A logit a class."""
        with torch.autocast(z.device.type, enabled=False):
            read = self.reader.answer(z, self.memory)[:, : len(self.bias)]
            return read + z @ self.weight + self.bias


def widened(z: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
    """Features scaled to a mean square of 1, the size at which layers start well."""
    return nn.functional.normalize(z, dim=1) * z.shape[1] ** 0.5


class MemoryPredictor(Head):
    """Whatever `memory.recall` answers to an image's features from what was `written`.

    Nothing is written by an image that is asked about: one alone gets the answer that it gets
    among others.
    """

    def __init__(self, encoder: nn.Module, memory: nn.Module, **written: Tensor) -> None:
        super().__init__(encoder, unit=True, **written)
        self.memory, self._written = memory, list(written)

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """A logit a class."""
        return self.memory.recall(z, *(getattr(self, name) for name in self._written))  # type: ignore[operator]


@part("predictor", "machine-recall")
class MachineRecall(MemoryPredictor):
    """Reads what a `NeuralTuringMachine` wrote: each image is the next one of its sequence."""

    def __init__(
        self,
        encoder: nn.Module,
        memory: nn.Module,
        matrix: Float[Tensor, "s v"],
        hidden: Float[Tensor, "1 h"],
        cell: Float[Tensor, "1 h"],
        read: Float[Tensor, "1 r"],
        label: Float[Tensor, "1 way"],
        k: int,
    ) -> None:
        super().__init__(
            encoder, memory, matrix=matrix, hidden=hidden, cell=cell, read=read, label=label
        )
        self.k = k

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """A logit a class: the codes that no class of the task has are left out."""
        return super().answer(z)[:, : self.k]


@part("predictor", "hops-recall")
class HopsRecall(MemoryPredictor):
    """Reads memories, embedded twice by `Hops`, and their labels."""

    def __init__(
        self,
        encoder: nn.Module,
        memory: nn.Module,
        inputs: Float[Tensor, "s w"],
        outputs: Float[Tensor, "s w"],
        labels: Float[Tensor, "s k"],
    ) -> None:
        super().__init__(encoder, memory, inputs=inputs, outputs=outputs, labels=labels)


@part("predictor", "fast-recall")
class FastRecall(MemoryPredictor):
    """Reads fast weights out of a `FastMemory`, for each image its own."""

    def __init__(
        self,
        encoder: nn.Module,
        memory: nn.Module,
        looking: Float[Tensor, "w w"],
        keys: Float[Tensor, "s w"],
        strength: Float[Tensor, "s"],
        hidden: Float[Tensor, "s w w"],
        output: Float[Tensor, "s k w"],
    ) -> None:
        super().__init__(
            encoder,
            memory,
            looking=looking,
            keys=keys,
            strength=strength,
            hidden=hidden,
            output=output,
        )
