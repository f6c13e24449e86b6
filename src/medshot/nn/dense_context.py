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
from medshot.nn.random_features import RandomFeatures, moments, weighted_ridge, weights_of

EPS = 1e-3  # of a share: what is nowhere is not infinitely unlikely
ROWS = 24_000  # pixels that a linear map is fitted to


class Memory(NamedTuple):
    """All that an answer needs of the support; m patches, f features, k classes."""

    weights: Float[Tensor, "g1 k"]  # of a map that tells pixels apart by random features
    mean: Float[Tensor, "f"]  # of what these are made of
    deviation: Float[Tensor, "f"]
    keys: Float[Tensor, "m w"]  # what each patch looks like
    shares: Float[Tensor, "m k"]  # the share of each class in each patch
    overall: Float[Tensor, "k"]  # the share of each class in all


@part("reader", "dense")
class DenseReader(nn.Module):
    """Judges a pixel by itself, by patches like its own, and by its neighbours, class by class.

    By itself: a ridge regression of the classes on the features of the support's pixels and `more`
    random features made of them, rare classes weighing more. By patches: attention of each patch to
    those of the support, which answer with their shares of the class. Both maps of a class, and the
    features, go through three convolutions that are the same for all classes, so that there may be
    any number of them.
    """

    def __init__(
        self, n_features: int, *, patch: int, width: int, heads: int, hidden: int, more: int
    ) -> None:
        super().__init__()
        self.patch, self.heads = patch, heads
        self.expand = RandomFeatures(n_features, more)
        self.balance = nn.Parameter(torch.tensor(0.5))
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
        weights, mean, deviation = self._told_apart(*_some(rows, chosen[labels]), overall)
        shares = counts / counts.sum(1, keepdim=True)
        return Memory(weights, mean, deviation, keys, shares, overall)

    def _told_apart(
        self, rows: Tensor, labels: Tensor, overall: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The weights, mean and deviation of what judges a pixel by itself."""
        weight = weights_of(labels, overall, self.balance)
        mean, deviation = moments(rows, weight)
        seen = self.expand((rows - mean) / deviation)
        return weighted_ridge(seen, labels, weight, self.log_penalty.exp()), mean, deviation

    def answer(self, z: Float[Tensor, "n f h w"], memory: Memory) -> Float[Tensor, "n k h w"]:
        """A logit a class for every pixel."""
        seen = self.expand((sites(z) - memory.mean) / memory.deviation)
        alone = on_grid(seen @ memory.weights[:-1] + memory.weights[-1], z)
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
    """What `reader` answers from its memory of the support."""

    def __init__(
        self,
        encoder: nn.Module,
        reader: DenseReader,
        weights: Float[Tensor, "g1 k"],
        mean: Float[Tensor, "f"],
        deviation: Float[Tensor, "f"],
        keys: Float[Tensor, "m w"],
        shares: Float[Tensor, "m k"],
        overall: Float[Tensor, "k"],
    ) -> None:
        super().__init__()
        self.encoder, self.reader = encoder, reader
        self.transductive = bool(getattr(encoder, "transductive", False))
        memory = (weights, mean, deviation, keys, shares, overall)
        for name, tensor in zip(Memory._fields, memory, strict=True):
            self.register_buffer(name, tensor)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """A logit a class for every pixel."""
        memory = Memory(*(cast(Tensor, getattr(self, name)) for name in Memory._fields))
        with torch.autocast(x.device.type, enabled=False):
            return self.reader.answer(features(self.encoder, x, unit=False), memory)


def _some(rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """At most `ROWS` of these rows, drawn from a seed: more hardly change a linear map."""
    if len(rows) <= ROWS:
        return rows, labels
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:ROWS]
    return rows[chosen.to(rows.device)], labels[chosen.to(rows.device)]


def _best_other(scores: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k h w"]:
    """For each class the highest score that another has."""
    first, second = scores.topk(2, dim=1).values.unbind(1)
    return torch.where(scores == first[:, None], second[:, None], first[:, None])
