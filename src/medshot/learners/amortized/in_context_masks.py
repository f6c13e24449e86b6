"""In-context segmentation: a network conditions on images with masks, without training.

In addition, ridge regression on random features of the support's pixels is solved in closed
form.
"""

import copy
from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Episode, Examples, Learner, Predictor, Task, part
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import features, labeled_sites, rows_to_grid, sites
from medshot.nn.layers import attend
from medshot.tasks import Segmentation

SPREAD = 1.5  # std of a random mixture of unit-variance features
PENALTY = 0.0067
BALANCE = 0.5  # class balancing: 0 weights rows equally, 1 weights classes equally
ROWS = 24_000  # subsample for the fit: more hardly change a linear map
SMALLEST_STD = 1e-3
AT_ONCE = 4096  # rows


@part("module", "random-ridge")
class RandomRidge(nn.Module):
    """Ridge regression of class indicators on features and random ReLU features.

    Source: Rahimi & Recht 2008, Weighted Sums of Random Kitchen Sinks, NeurIPS 21 (linear
    regression on random features is nonlinear in the original ones). The random features come
    from a fixed seed, and their number from the rows of `weights`; `random_ridge` fits the rest.
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
        mixtures, offsets = random_projection(len(mean), len(weights) - 1 - len(mean))
        tensors = {"mean": mean, "deviation": deviation, "weights": weights}
        tensors |= {"mixtures": mixtures.to(mean), "offsets": offsets.to(mean)}
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    def forward(self, z: Float[Tensor, "m f"]) -> Float[Tensor, "m k"]:
        """Scores per row: about 1 for the predicted class and 0 for the others."""
        plain, mixed = self.weights[:-1].split([len(self.mean), len(self.offsets)])
        plain, mixtures = (each / self.deviation[:, None] for each in (plain, self.mixtures))
        start, offsets = self.weights[-1] - self.mean @ plain, self.offsets - self.mean @ mixtures
        parts = [  # chunks that fit the cache take half the time
            torch.addmm(start, some, plain) + torch.addmm(offsets, some, mixtures).relu_() @ mixed
            for some in ([z] if torch.compiler.is_exporting() else z.split(AT_ONCE))
        ]
        return torch.cat(parts)


@torch.no_grad()
def random_ridge(
    z: Float[Tensor, "m f"],
    labels: Float[Tensor, "m k"],
    more: int,
    *,
    penalty: float = PENALTY,
    most: int = ROWS,
) -> RandomRidge:
    """Fit on features `z` and labels (one-hot, or shares of classes), with `more` random features.

    Rows are weighted by class frequency to the power -`BALANCE`. More than `most` rows are
    subsampled with a fixed seed.
    """
    return cross_fitted_ridges(z, labels, None, more, penalty=penalty, most=most)[0]


@torch.no_grad()
def cross_fitted_ridges(
    z: Float[Tensor, "m f"],
    labels: Float[Tensor, "m k"],
    folds: Int[Tensor, "m"] | None,
    more: int,
    *,
    n_folds: int = 0,
    penalty: float = PENALTY,
    most: int = ROWS,
) -> list[RandomRidge]:
    """The ridge of all rows (see `random_ridge`), then the one without each of `n_folds` folds.

    The folds share features, weights and sums of products, so that they cost little.
    """
    if len(labels) > most:
        chosen = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:most]
        chosen = chosen.to(z.device)
        z, labels = z[chosen], labels[chosen]
        folds = None if folds is None else folds[chosen]
    weight = (labels * (labels.mean(0) + SMALLEST_STD) ** -BALANCE).sum(1, keepdim=True)
    weight = weight / weight.sum()
    mean = (weight * z).sum(0)
    deviation = ((weight * (z - mean).square()).sum(0) + SMALLEST_STD**2).sqrt()
    mixed = (each.to(z) for each in random_projection(z.shape[1], more))
    rows = expanded((z - mean) / deviation, *mixed)
    if folds is None:
        return [RandomRidge(mean, deviation, weighted_ridge(rows, labels, weight, penalty))]
    center = (weight * rows).sum(0)
    rows = F.pad(rows - center, (0, 1), value=1.0)
    wanted = torch.cat([rows, labels], 1)
    each = [(weight * rows)[folds == f].T @ wanted[folds == f] for f in range(n_folds)]
    total = torch.stack(each).sum(0)
    kept = [total, *(total - one for one in each)]
    return [RandomRidge(mean, deviation, _of_sums(one, center, penalty)) for one in kept]


def _of_sums(
    sums: Float[Tensor, "g1 g1k"], center: Float[Tensor, "g"], penalty: float
) -> Float[Tensor, "g1 k"]:
    """`weighted_ridge` from the products of rows with themselves, 1 and the labels."""
    g = len(center)
    sums = sums / sums[g, g]
    at, goal = sums[g, :g], sums[g, g + 1 :]
    unit = torch.eye(g, dtype=sums.dtype, device=sums.device)
    gram = sums[:g, :g] - at[:, None] * at + penalty * unit
    slopes = torch.linalg.solve(gram, sums[:g, g + 1 :] - at[:, None] * goal)
    return torch.cat([slopes, (goal - (center + at) @ slopes)[None]])


def random_projection(
    n_features: int, more: int
) -> tuple[Float[Tensor, "f more"], Float[Tensor, "more"]]:
    """Weights (one column each) and offsets of the random features, from a fixed seed."""
    rng = torch.Generator().manual_seed(0)
    mixtures = torch.randn(n_features, more, generator=rng) * SPREAD / n_features**0.5
    return mixtures, torch.randn(more, generator=rng)


def expanded(
    z: Float[Tensor, "m f"], mixtures: Float[Tensor, "f more"], offsets: Float[Tensor, "more"]
) -> Float[Tensor, "m g"]:
    """Concatenate standardized features and their random ReLU features."""
    return torch.cat([z, torch.relu(z @ mixtures + offsets)], 1)


def weighted_ridge(
    rows: Float[Tensor, "m g"],
    wanted: Float[Tensor, "m k"],
    weight: Float[Tensor, "m 1"],
    penalty: float,
) -> Float[Tensor, "g1 k"]:
    """Weighted ridge regression; `weight` sums to 1, the last row is the intercept."""
    at, goal = (weight * rows).sum(0), (weight * wanted).sum(0)
    centred = rows - at
    unit = torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
    gram = centred.T @ (weight * centred) + penalty * unit
    slopes = torch.linalg.solve(gram, centred.T @ (weight * (wanted - goal)))
    return torch.cat([slopes, (goal - at @ slopes)[None]])


READ, TEXTURE = 0.5, 8.0  # weights of the two, chosen on white cells and vessels (docs/log.md)
EPS = 1e-3  # added to fractions, so that an absent class has a finite log


class Memory(NamedTuple):
    """The encoded support: m patches, f features, k classes."""

    weights: Float[Tensor, "f1 k"]  # pixel classifier, intercept last
    keys: Float[Tensor, "m w"]  # attention keys of the patches
    shares: Float[Tensor, "m k"]  # class frequencies per patch
    overall: Float[Tensor, "k"]  # class frequencies of the support


@part("reader", "dense")
class DenseReader(nn.Module):
    """Classifies a pixel from its features, from similar patches and from its neighbors.

    From its features: class-balanced ridge regression on the support's pixels. From similar
    patches: attention over the support's patches, whose values are their class frequencies.
    Three convolutions, shared by all classes and hence for any number of them, combine both maps
    with the features.
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
        """Encode the support; unlabeled sites (-1) are ignored."""
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

    def on_features(self, z: Float[Tensor, "n f h w"], memory: Memory) -> Float[Tensor, "n k h w"]:
        """Logits per pixel."""
        alone = rows_to_grid(sites(z) @ memory.weights[:-1] + memory.weights[-1], z)
        alike = self._alike(z, memory)
        inputs = [alone, _best_other(alone), memory.overall[:, None, None].expand_as(alone)]
        of_class = torch.cat([torch.stack(inputs, 2), alike], 2)  # n k c h w
        seen = self.of_class(of_class.flatten(0, 1)).unflatten(0, of_class.shape[:2])
        seen = seen + self.of_image(z)[:, None]
        return self.scale * alone + self.then(seen.flatten(0, 1)).view_as(alone)

    def _alike(self, z: Float[Tensor, "n f h w"], memory: Memory) -> Float[Tensor, "n k c h w"]:
        """Class frequencies read by each head, and their log-ratio to the overall ones."""
        queries = self.embed(z)
        found = self.sharpness * F.normalize(sites(queries), dim=1) * memory.keys.shape[1] ** 0.5
        keys, shares = (each.expand(self.heads, -1, -1) for each in (memory.keys, memory.shares))
        read = attend(found, keys, shares)  # heads m k
        against = (read + EPS).log() - (memory.overall + EPS).log()
        both = torch.cat([read, against / 4]).permute(1, 0, 2).flatten(1)  # m (c k)
        grid = F.interpolate(rows_to_grid(both, queries), z.shape[2:], mode="bilinear")
        return grid.unflatten(1, (2 * self.heads, -1)).transpose(1, 2)


@part("predictor", "dense-reading")
class DenseReading(Predictor):
    """Segmentation by `reader`, optionally combined with a `texture` classifier.

    With `texture`, the two log-probabilities are added with fixed weights. Their errors differ:
    the reader was meta-trained on many tasks, the texture classifier fitted to this support.
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
        """Logits per pixel."""
        memory = Memory(*(cast(Tensor, getattr(self, name)) for name in Memory._fields))
        with torch.autocast(x.device.type, enabled=False):
            z = features(self.encoder, x, unit=False)
            read = self.reader.on_features(z, memory)
            if self.texture is None:
                return read
            return READ * read.log_softmax(1) + TEXTURE * rows_to_grid(self.texture(sites(z)), z)


def balanced_ridge(
    z: Float[Tensor, "m f"], labels: Float[Tensor, "m k"], overall: Tensor, penalty: Tensor
) -> Float[Tensor, "f1 k"]:
    """Ridge regression with equal class weights; the last row is the intercept.

    The penalty is for standardized features and spares the intercept.
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
    """For each class, the highest score among the other classes."""
    first, second = scores.topk(2, dim=1).values.unbind(1)
    return torch.where(scores == first[:, None], second[:, None], first[:, None])


BATCH = 4  # at most so many support and query images per step


@register("in-context-masks")
class InContextMasks(Learner):
    """Support images with masks in, query masks out; no training on new tasks.

    Source: Butoi et al. 2023, UniverSeg, arXiv:2304.06131 (a network trained on many tasks with
    the support as an input); class scores of pixels and of `patch` x `patch` patches follow the
    prototypes of Ouyang et al. 2020, arXiv:2007.09886.

    Where we differ: in UniverSeg, query and support interact in every layer, so each query needs
    another pass over the support. Here the encoder sees each image by itself. The support is
    reduced to a linear classifier and one key per patch (see `DenseReader`), and a query costs
    one forward pass and one attention. All classes are predicted jointly, by softmax.

    With `more` > 0, ridge regression on the pixel features and `more` random features, fitted to
    this support, is added: it separates textures that no meta-training task had. It is not
    meta-trained.

    With `steps`, a copy of the network is first fine-tuned on the support by that many steps of
    Adam, each on a random split of the support into support and query, with flips and rotations.
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
            given = ", ".join(f"{name}={value}" for name, value in sizes.items())
            raise ConfigError(
                f"{given}: each must be at least 1, and more={more} and steps={steps} at least 0."
            )
        self.encoder, self.more, self.steps, self.lr = encoder, more, steps, lr
        self.reader = DenseReader(n_features(encoder), **sizes)

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Encode the support and fit the texture classifier; fine-tune first if `steps` > 0."""
        learner = self._finetuned(support, task) if self.steps else self
        return learner._read(support, task, self.more)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """Query loss of the reader alone: the texture classifier is not meta-trained."""
        predictor = self._read(episode.support, episode.task)
        return episode.task.loss(predictor(episode.query.x), episode.query.y)

    def _read(self, support: Examples, task: Task, more: int = 0) -> DenseReading:
        z = features(self.encoder, support.x, unit=False)
        memory = self.reader.remember(z, support.y, task.n_outputs)
        texture = None
        if more:
            rows, labels = labeled_sites(z.detach(), support.y)
            texture = random_ridge(rows, task.encode(labels, like=rows), more)
        return DenseReading(self.encoder, self.reader, *memory, texture)

    def _finetuned(self, support: Examples, task: Task) -> "InContextMasks":
        """Copy of this learner, fine-tuned on the support."""
        other = copy.deepcopy(self).requires_grad_(True)
        with torch.enable_grad():
            optimizer = torch.optim.Adam(other.parameters(), lr=self.lr)
            for shown, query in _halves(support, task.n_outputs, self.steps):
                optimizer.zero_grad()
                task.loss(other._read(shown, task)(query.x), query.y).backward()
                optimizer.step()
        return other.requires_grad_(False)


def _halves(support: Examples, k: int, steps: int) -> Iterator[tuple[Examples, Examples]]:
    """Augmented random splits of the support into support and query, from a fixed seed.

    Splits whose support lacks a class are skipped. A single image serves as both, with different
    augmentation.
    """
    rng = torch.Generator().manual_seed(0)
    half = min(BATCH, len(support) // 2)
    for _ in range(steps):
        order = torch.randperm(len(support), generator=rng).to(support.y.device)
        shown, query = (order[:half], order[half : half + BATCH]) if half else (order, order)
        if all((support.y[shown] == c).any() for c in range(k)):
            yield _turned(support[shown], rng), _turned(support[query], rng)


def _turned(examples: Examples, rng: torch.Generator) -> Examples:
    """Flip and rotate all images by the same random multiple of 90 degrees."""
    mirrored, quarters = (int(torch.randint(n, (1,), generator=rng)) for n in (2, 4))
    x, y = (each.flip(-1) if mirrored else each for each in (examples.x, examples.y))
    x, y = (each.rot90(quarters, (-2, -1)).contiguous() for each in (x, y))
    return Examples(x, y)
