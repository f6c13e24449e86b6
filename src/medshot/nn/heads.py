"""Predictors on features: linear heads, prototypes, heads with memory or context.

Adapted tensors are buffers; nothing here depends on support or query. Most encoders return
one feature vector per image, `n f`. One that keeps the grid returns one per site (a pixel, a
voxel), `n f *s`: then each site is treated like an image.
"""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from medshot.core import Predictor, ShapeError, part


class Head(Predictor, ABC):
    """Predicts from features of images or sites; a subclass implements `on_features`.

    `fitted` tensors are stored as buffers. With `unit`, features are L2-normalized.
    """

    def __init__(self, encoder: nn.Module, *, unit: bool = False, **fitted: Tensor) -> None:
        super().__init__()
        self.encoder, self.unit = encoder, unit
        self.transductive = bool(getattr(encoder, "transductive", False))
        for name, tensor in fitted.items():
            self.register_buffer(name, tensor)

    @abstractmethod
    def on_features(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Scores from features."""

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k *t"]:
        """Scores for every image, or for each of its sites."""
        z = features(self.encoder, x, unit=self.unit)
        return rows_to_grid(self.on_features(sites(z)), z)


def features(encoder: nn.Module, x: Tensor, unit: bool) -> Float[Tensor, "n f *t"]:
    """Features of `x` in at least single precision; with `unit`, L2-normalized."""
    z = encoder(x)
    z = z.float() if z.dtype in (torch.bfloat16, torch.float16) else z
    return F.normalize(z, dim=1) if unit else z


def sites(z: Shaped[Tensor, "n f *t"]) -> Shaped[Tensor, "m f"]:
    """Flatten the sites of all images into rows; `n f` is returned unchanged."""
    return z.movedim(1, -1).flatten(0, -2)


def rows_to_grid(
    rows: Shaped[Tensor, "m k"], like: Shaped[Tensor, "n f *t"]
) -> Shaped[Tensor, "n k *t"]:
    """Inverse of `sites`: arrange rows on the grid of `like`."""
    return rows.unflatten(0, (like.shape[0], *like.shape[2:])).movedim(-1, 1)


def labeled_sites(
    z: Float[Tensor, "n f *t"], y: Shaped[Tensor, "n ..."]
) -> tuple[Float[Tensor, "m f"], Shaped[Tensor, "m ..."]]:
    """Feature rows with one target each; unlabeled sites (-1) are dropped.

    The target of a whole image may be a row itself. Where targets are images, `n k *t`, each site
    has a row of k numbers.

    Raises:
        ShapeError: features and labels are on different grids.
    """
    if z.ndim == 2 and y.ndim <= 2:
        return z, y
    images = y.is_floating_point() and y.ndim == z.ndim
    grid = y.shape[2:] if images else y.shape[1:]
    if z.shape[2:] != grid:
        raise ShapeError(
            f"The encoder returns features on a grid of {_sides(z.shape[2:])}, but the labels are "
            f"on one of {_sides(grid)}. For masks, use an encoder that keeps the grid "
            '(encoder="unet"); for image labels, one that does not ("conv4").'
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

    def on_features(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Logits."""
        return z @ self.weight + self.bias


@part("predictor", "prototypes")
class Prototypes(Head):
    """Negative squared Euclidean distance (or its `root`) to prototypes, times `scale`."""

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

    def on_features(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Negative scaled distance to each class."""
        return -self.scale * distances(z, self.prototypes, self.root)


def distances(
    z: Float[Tensor, "n f"], centres: Float[Tensor, "k f"], root: bool = False
) -> Float[Tensor, "n k"]:
    """Squared Euclidean distances, or with `root` Euclidean ones."""
    found = squared_distances(z, centres)
    # sqrt has no gradient at 0
    return found.clamp(min=1e-6).sqrt() if root else found


def squared_distances(
    z: Float[Tensor, "n f"], centres: Float[Tensor, "k f"]
) -> Float[Tensor, "n k"]:
    """|z - c|^2 as |z|^2 - 2 z.c + |c|^2, without an n x k x f tensor."""
    with torch.autocast(z.device.type, enabled=False):  # cancellation needs full precision
        cross = z @ centres.T
        return z.square().sum(1, keepdim=True) - 2 * cross + centres.square().sum(1)


def class_means(z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"]) -> Float[Tensor, "k f"]:
    """Mean feature of each class; `labels` are one-hot rows."""
    with torch.autocast(z.device.type, enabled=False):
        return labels.T @ z / labels.sum(0)[:, None]


def zero_head(n_features: int, k: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Zero-initialized linear head: weight `f k` and bias `k`."""
    return torch.zeros(n_features, k).to(like), torch.zeros(k).to(like)


def prototype_head(
    z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"], scale: Tensor | float
) -> tuple[Float[Tensor, "f k"], Float[Tensor, "k"]]:
    """Linear head equivalent to minus `scale` times the squared distance to class means.

    Source: Snell et al. 2017, arXiv:1703.05175 (as a linear model): in -s |z - c|^2 the term
    -s |z|^2 is the same for all classes, and 2 s z.c - s |c|^2 remains.
    """
    centres = class_means(z, labels)
    with torch.autocast(z.device.type, enabled=False):
        return 2 * scale * centres.T, -scale * centres.square().sum(1)


class Reader(nn.Module, ABC):
    """Encodes a labeled support once, then predicts for any number of queries.

    `way` is the number of label codes.
    """

    @abstractmethod
    def remember(self, z: Float[Tensor, "m f"], labels: Float[Tensor, "m k"]) -> Tensor:
        """The encoded support; k is at most `way`."""

    @abstractmethod
    def on_features(self, z: Float[Tensor, "n f"], memory: Tensor) -> Float[Tensor, "n way"]:
        """Scores for each row of `z`, independent of the other rows."""


@part("predictor", "reading")
class InContextPredictor(Head):
    """Output of `reader` given `memory`, plus a linear head."""

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

    def on_features(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Logits."""
        with torch.autocast(z.device.type, enabled=False):
            read = self.reader.on_features(z, self.memory)[:, : len(self.bias)]
            return read + z @ self.weight + self.bias


def widened(z: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
    """Features scaled to a mean square of 1, as weight initialization assumes."""
    return nn.functional.normalize(z, dim=1) * z.shape[1] ** 0.5


class MemoryPredictor(Head):
    """Prediction of `memory.recall` from the `written` tensors.

    Queries are not written, so a prediction does not depend on other queries.
    """

    def __init__(self, encoder: nn.Module, memory: nn.Module, **written: Tensor) -> None:
        super().__init__(encoder, unit=True, **written)
        self.memory, self._written = memory, list(written)

    def on_features(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Logits."""
        return self.memory.recall(z, *(getattr(self, name) for name in self._written))  # type: ignore[operator]


@part("predictor", "machine-recall")
class MachineRecall(MemoryPredictor):
    """Reads what a `NeuralTuringMachine` wrote, each image as the next of its sequence."""

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

    def on_features(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Logits, without the codes of unused classes."""
        return super().on_features(z)[:, : self.k]


@part("predictor", "hops-recall")
class HopsRecall(MemoryPredictor):
    """Reads memories, embedded by `Hops`, and their labels."""

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
    """Reads fast weights from a `FastMemory`, separately for each image."""

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
