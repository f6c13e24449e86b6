"""Reads images with masks once, and then says of every pixel of others which class it is of."""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.core.predictor import Predictor
from medshot.nn.attend import attend
from medshot.nn.features import features, labelled_sites, on_grid, sites
from medshot.nn.random_ridge import RandomRidge

READ, TEXTURE = 0.5, 8.0  # what the two count, chosen on white cells and vessels (docs/log.md)
EPS = 1e-3  # of a share: what is nowhere is not infinitely unlikely


class Memory(NamedTuple):
    """All that an answer needs of the support; m patches, f features, k classes."""

    weights: Float[Tensor, "f1 k"]  # of a linear map that tells pixels apart, and its intercept
    keys: Float[Tensor, "m w"]  # what each patch looks like
    shares: Float[Tensor, "m k"]  # the share of each class in each patch
    overall: Float[Tensor, "k"]  # the share of each class in all


@part("reader", "dense")
class DenseReader(nn.Module):
    """Judges a pixel by itself, by patches like its own, and by its neighbours, class by class.

    By itself: a ridge regression of the classes on the features of the support's pixels, all
    classes weighing the same. By patches: attention of each patch to those of the support, which
    answer with their shares of the class. Both maps of a class, and the features, go through three
    convolutions that are the same for all classes, so that there may be any number of them.
    """

    def __init__(self, n_features: int, *, patch: int, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.patch, self.heads = patch, heads
        self.embed = nn.Conv2d(n_features, width, patch, stride=patch)
        self.sharpness = nn.Parameter(torch.full((heads, 1, 1), 5.0))
        self.log_penalty = nn.Parameter(torch.tensor(-5.0))
        self.scale = nn.Parameter(torch.tensor(4.0))
        self.of_image = nn.Conv2d(n_features, hidden, 3, padding=1)
        self.of_class = nn.Conv2d(3 + 2 * heads, hidden, 3, padding=1, bias=False)
        self.then = nn.Sequential(
            nn.ReLU(), nn.Conv2d(hidden, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, 1, 1)
        )

    def remember(self, z: Float[Tensor, "n f h w"], y: Int[Tensor, "n h w"], k: int) -> Memory:
        """What is kept of a support; sites whose class is not known (-1) teach nothing."""
        rows, labels = labelled_sites(z, y)
        chosen = torch.eye(k, dtype=z.dtype, device=z.device)
        overall = chosen[labels].mean(0)
        known = torch.stack([(y == c).to(z) for c in range(k)], 1)
        counts = F.avg_pool2d(known, self.patch)
        there = sites(counts).sum(1) > 0
        counts = sites(counts)[there]
        keys = F.normalize(sites(self.embed(z))[there], dim=1)
        weights = balanced_ridge(rows, chosen[labels], overall, self.log_penalty.exp())
        return Memory(weights, keys, counts / counts.sum(1, keepdim=True), overall)

    def answer(self, z: Float[Tensor, "n f h w"], memory: Memory) -> Float[Tensor, "n k h w"]:
        """A logit a class for every pixel."""
        alone = on_grid(sites(z) @ memory.weights[:-1] + memory.weights[-1], z)
        alike = self._alike(z, memory)
        beside = [alone, _best_other(alone), memory.overall[:, None, None].expand_as(alone)]
        of_class = torch.cat([torch.stack(beside, 2), alike], 2)  # n k c h w
        seen = self.of_class(of_class.flatten(0, 1)).unflatten(0, of_class.shape[:2])
        seen = seen + self.of_image(z)[:, None]
        return self.scale * alone + self.then(seen.flatten(0, 1)).view_as(alone)

    def _alike(self, z: Float[Tensor, "n f h w"], memory: Memory) -> Float[Tensor, "n k c h w"]:
        """The shares of each class where patches look alike, a head a channel, and against all."""
        queries = self.embed(z)
        found = self.sharpness * F.normalize(sites(queries), dim=1) * memory.keys.shape[1] ** 0.5
        keys, shares = (each.expand(self.heads, -1, -1) for each in (memory.keys, memory.shares))
        read = attend(found, keys, shares)  # heads m k
        against = (read + EPS).log() - (memory.overall + EPS).log()
        both = torch.cat([read, against / 4]).permute(1, 0, 2).flatten(1)  # m (c k)
        grid = F.interpolate(on_grid(both, queries), z.shape[2:], mode="bilinear")
        return grid.unflatten(1, (2 * self.heads, -1)).transpose(1, 2)


@part("predictor", "dense-reading")
class DenseReading(Predictor):
    """What `reader` answers from its memory of the support, and `texture` beside it.

    Where there is a `texture`, the log odds of the two are added. Both are sure of themselves for
    different reasons: what is read was learnt on many tasks, the texture from this support alone.
    """

    def __init__(
        self,
        encoder: nn.Module,
        reader: DenseReader,
        weights: Float[Tensor, "f1 k"],
        keys: Float[Tensor, "m w"],
        shares: Float[Tensor, "m k"],
        overall: Float[Tensor, "k"],
        texture: RandomRidge | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.reader, self.texture = encoder, reader, texture
        self.transductive = bool(getattr(encoder, "transductive", False))
        for name, tensor in zip(Memory._fields, (weights, keys, shares, overall), strict=True):
            self.register_buffer(name, tensor)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """A logit a class for every pixel."""
        memory = Memory(*(cast(Tensor, getattr(self, name)) for name in Memory._fields))
        with torch.autocast(x.device.type, enabled=False):
            z = features(self.encoder, x, unit=False)
            read = self.reader.answer(z, memory)
            if self.texture is None:
                return read
            return READ * read.log_softmax(1) + TEXTURE * on_grid(self.texture(sites(z)), z)


def balanced_ridge(
    z: Float[Tensor, "m f"], labels: Float[Tensor, "m k"], overall: Tensor, penalty: Tensor
) -> Float[Tensor, "f1 k"]:
    """The linear map from features to classes with the least squared error, classes weighing alike.

    Its last row is the intercept. The penalty is on the others, for features of deviation 1.
    """
    weight = (labels / (overall * len(overall) * len(z))).sum(1, keepdim=True)  # sums to 1
    mean = (weight * z).sum(0)
    deviation = ((weight * (z - mean).square()).sum(0) + EPS**2).sqrt()
    rows, wanted = (z - mean) / deviation, labels - 1 / labels.shape[1]
    gram = rows.T @ (weight * rows) + penalty * torch.eye(
        z.shape[1], dtype=z.dtype, device=z.device
    )
    slopes = torch.linalg.solve(gram, rows.T @ (weight * wanted)) / deviation[:, None]
    return torch.cat([slopes, (1 / labels.shape[1] - mean @ slopes)[None]])


def _best_other(scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k h w"]:
    """For each class the highest score that another has."""
    first, second = scores.topk(2, dim=1).values.unbind(1)
    return torch.where(scores == first[:, None], second[:, None], first[:, None])
