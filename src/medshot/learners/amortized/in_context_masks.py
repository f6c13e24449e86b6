"""In-context segmentation: a network reads images with masks and answers, and nothing is fitted.

Ridge regression on random features: what is not linear is learned in closed form too.

Reads images with masks once, and then says of every pixel of others which class it is of.
"""

import copy
from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.registry import part
from medshot.core.task import Task
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import features, labeled_sites, on_grid, sites
from medshot.nn.layers import attend
from medshot.tasks import Segmentation

SPREAD = 1.5  # deviation of a random mixture of features of deviation 1
PENALTY = 0.0067
BALANCE = 0.5  # with 0 every row would count alike, with 1 every class
ROWS = 24_000  # to fit to: more hardly change a linear map
SMALLEST_STD = 1e-3
AT_ONCE = 4096  # rows


@part("module", "random-ridge")
class RandomRidge(nn.Module):
    """A score a class from features, and from random mixtures of them that are cut off below zero.

    Source: Rahimi & Recht 2008, Weighted Sums of Random Kitchen Sinks, NeurIPS 21 (a linear map
    on random features is a nonlinear one on what they are made of). The mixtures are drawn from
    one seed, and as many as `weights` has rows for; `random_ridge` fits the rest.
    """

    mean: Tensor
    deviation: Tensor
    weights: Tensor
    mixtures: Tensor
    offsets: Tensor

    def __init__(
        self,
        mean: Float[Tensor, "f"],
        deviation: Float[Tensor, "f"],
        weights: Float[Tensor, "g1 k"],
    ) -> None:
        super().__init__()
        mixtures, offsets = drawn(len(mean), len(weights) - 1 - len(mean))
        tensors = {"mean": mean, "deviation": deviation, "weights": weights}
        tensors |= {"mixtures": mixtures.to(mean), "offsets": offsets.to(mean)}
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    def forward(self, z: Float[Tensor, "m f"]) -> Float[Tensor, "m k"]:
        """A score a class for each row of features: 1 for the class, 0 for others, about."""
        plain, mixed = self.weights[:-1].split([len(self.mean), len(self.offsets)])
        plain, mixtures = (each / self.deviation[:, None] for each in (plain, self.mixtures))
        start, offsets = self.weights[-1] - self.mean @ plain, self.offsets - self.mean @ mixtures
        parts = [  # few rows at a time, which stay in the cache: in half the time
            torch.addmm(start, some, plain) + torch.addmm(offsets, some, mixtures).relu_() @ mixed
            for some in z.split(AT_ONCE)
        ]
        return torch.cat(parts)


@torch.no_grad()
def random_ridge(z: Float[Tensor, "m f"], y: Int[Tensor, "m"], k: int, more: int) -> RandomRidge:
    """Fit to rows of features with their classes; `more` mixtures stand beside the features.

    Classes count by the root of their share. Of many rows, `ROWS` are drawn from a seed.
    """
    if len(y) > ROWS:
        chosen = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))[:ROWS]
        z, y = z[chosen.to(z.device)], y[chosen.to(y.device)]
    labels = torch.eye(k, dtype=z.dtype, device=z.device)[y]
    weight = (labels * (labels.mean(0) + SMALLEST_STD) ** -BALANCE).sum(1, keepdim=True)
    weight = weight / weight.sum()
    mean = (weight * z).sum(0)
    deviation = ((weight * (z - mean).square()).sum(0) + SMALLEST_STD**2).sqrt()
    mixed = (each.to(z) for each in drawn(z.shape[1], more))
    rows = expanded((z - mean) / deviation, *mixed)
    return RandomRidge(mean, deviation, weighted_ridge(rows, labels, weight, PENALTY))


def drawn(n_features: int, more: int) -> tuple[Float[Tensor, "f more"], Float[Tensor, "more"]]:
    """The mixtures, a column each, and what is added to each: always the same."""
    rng = torch.Generator().manual_seed(0)
    mixtures = torch.randn(n_features, more, generator=rng) * SPREAD / n_features**0.5
    return mixtures, torch.randn(more, generator=rng)


def expanded(
    z: Float[Tensor, "m f"], mixtures: Float[Tensor, "f more"], offsets: Float[Tensor, "more"]
) -> Float[Tensor, "m g"]:
    """Features of mean 0 and deviation 1, and their mixtures beside them."""
    return torch.cat([z, torch.relu(z @ mixtures + offsets)], 1)


def weighted_ridge(
    rows: Float[Tensor, "m g"],
    wanted: Float[Tensor, "m k"],
    weight: Float[Tensor, "m 1"],
    penalty: float,
) -> Float[Tensor, "g1 k"]:
    """The linear map with the least squared error; weights are one in all, the last row is free."""
    at, goal = (weight * rows).sum(0), (weight * wanted).sum(0)
    centred = rows - at
    unit = torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
    gram = centred.T @ (weight * centred) + penalty * unit
    slopes = torch.linalg.solve(gram, centred.T @ (weight * (wanted - goal)))
    return torch.cat([slopes, (goal - at @ slopes)[None]])


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
        rows, labels = labeled_sites(z, y)
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
    different reasons: what is read was learned on many tasks, the texture from this support alone.
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


BATCH = 4  # images on each side of a step


@register("in-context-masks")
class InContextMasks(Learner):
    """Support images with their masks in, the query's mask out; new tasks need no training.

    Source: Butoi et al. 2023, UniverSeg, arXiv:2304.06131 (a network, trained on many tasks, that
    takes the support as an input); the maps of single pixels and of `patch` x `patch` pixels are
    in the manner of the prototypes of Ouyang et al. 2020, arXiv:2007.09886.

    Where we differ: UniverSeg lets query and support interact in every layer, so that each query
    is a pass over the whole support again. Here one encoder sees every image by itself. Of the
    support a linear map and one key a patch are kept (see `DenseReader`), and a query costs its
    own pass and one attention. All classes of a task are answered at once, and compete.

    Beside it stands, where `more` is not 0, a ridge regression on the features of a pixel and
    `more` random mixtures of them, fitted to this support: what is read was learned on other tasks,
    and texture that none of them had is told apart by it. Nothing of it is meta-trained.

    With `steps`, a copy of the network first practises on the support: so many steps of Adam, in
    each of which it reads some of the images and is asked about others, mirrored and turned.
    """

    supports = (Segmentation,)
    source = "Butoi et al. 2023, arXiv:2304.06131"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        patch: int = 8,
        width: int = 32,
        heads: int = 2,
        hidden: int = 16,
        more: int = 256,
        steps: int = 0,
        lr: float = 0.003,
    ) -> None:
        super().__init__()
        sizes = {"patch": patch, "width": width, "heads": heads, "hidden": hidden}
        if min(sizes.values()) < 1 or min(more, steps) < 0:
            said = ", ".join(f"{name}={value}" for name, value in sizes.items())
            raise ConfigError(
                f"{said}: each is at least 1, and more={more} and steps={steps} at least 0."
            )
        self.encoder, self.more, self.steps, self.lr = encoder, more, steps, lr
        self.reader = DenseReader(n_features(encoder), **sizes)

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Read the support once, and look at its texture; with `steps`, practise before."""
        learner = self._practised(support, task) if self.steps else self
        return learner._read(support, task, self.more)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The query loss of what is read alone: the texture has nothing to train."""
        predictor = self._read(episode.support, episode.task)
        return episode.task.loss(predictor(episode.query.x), episode.query.y)

    def _read(self, support: Examples, task: Task, more: int = 0) -> DenseReading:
        z = features(self.encoder, support.x, unit=False)
        memory = self.reader.remember(z, support.y, task.n_outputs)
        rows = labeled_sites(z.detach(), support.y)
        texture = random_ridge(*rows, task.n_outputs, more) if more else None
        return DenseReading(self.encoder, self.reader, *memory, texture)

    def _practised(self, support: Examples, task: Task) -> "InContextMasks":
        """A copy of this learner that has practised."""
        other = copy.deepcopy(self).requires_grad_(True)
        with torch.enable_grad():
            optimizer = torch.optim.Adam(other.parameters(), lr=self.lr)
            for shown, asked in _halves(support, task.n_outputs, self.steps):
                optimizer.zero_grad()
                task.loss(other._read(shown, task)(asked.x), asked.y).backward()
                optimizer.step()
        return other.requires_grad_(False)


def _halves(support: Examples, k: int, steps: int) -> Iterator[tuple[Examples, Examples]]:
    """Some images to read and some to answer, turned, drawn once and for all; all classes are read.

    Of one image alone, it is read as it is asked about, turned otherwise.
    """
    rng = torch.Generator().manual_seed(0)
    half = min(BATCH, len(support) // 2)
    for _ in range(steps):
        order = torch.randperm(len(support), generator=rng).to(support.y.device)
        shown, asked = (order[:half], order[half : half + BATCH]) if half else (order, order)
        if all((support.y[shown] == c).any() for c in range(k)):
            yield _turned(support[shown], rng), _turned(support[asked], rng)


def _turned(examples: Examples, rng: torch.Generator) -> Examples:
    """All images mirrored and turned by right angles, alike."""
    mirrored, quarters = (int(torch.randint(n, (1,), generator=rng)) for n in (2, 4))
    x, y = (each.flip(-1) if mirrored else each for each in (examples.x, examples.y))
    x, y = (each.rot90(quarters, (-2, -1)).contiguous() for each in (x, y))
    return Examples(x, y)
