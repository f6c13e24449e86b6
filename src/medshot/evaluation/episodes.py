"""Evaluation over numbered episodes: adapt on each support, predict each query.

If the encoder does not change with the support, each image is encoded once.
"""

import copy
import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from medshot.core import Episode, Examples, LeakError, Learner, any_tensor, eval_mode, versions
from medshot.data.dataset import Dataset, DrawnEpisodes
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.statistics import Interval, mean_interval
from medshot.tasks import Classification

AT_ONCE = 256  # batch size of the encoder
FEW = 16  # smaller batches for cached features: activations that fit the CPU cache are faster
FLAT = 2  # spatial axes of images


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedEpisodes:
    """Episodes of `sampler` with features in place of images."""

    sampler: EpisodeSampler
    features: Float[Tensor, "n f"]
    shown: Float[Tensor, "n f"] | None = None  # support features, if they differ

    def episode(self, i: int) -> Episode:
        """Episode `i`."""
        drawn = self.sampler.draw(i)
        shown = self.features if self.shown is None else self.shown
        support = self._gather(shown, drawn.support, drawn.support_y)
        query = self._gather(self.features, drawn.query, drawn.query_y)
        return Episode(Classification(self.sampler.way), support, query)

    def describe(self) -> dict[str, Any]:
        """As the sampler's."""
        return self.sampler.describe()

    def fingerprint(self, episodes: int) -> str:
        """As the sampler's."""
        return self.sampler.fingerprint(episodes)

    def _gather(
        self, features: Float[Tensor, "m f"], index: Int[ndarray, "n"], y: Int[ndarray, "n"]
    ) -> Examples:
        at = torch.from_numpy(index)
        return Examples(features[at], torch.from_numpy(y), self.sampler.dataset.groups[at])


def can_be_encoded(learner: Learner, sampler: object) -> bool:
    """Whether features are the same in every episode, so that encoding once is equivalent."""
    labels = isinstance(sampler, EpisodeSampler) and not sampler.rotate
    pooled = getattr(learner.encoder, "keeps_grid", False)  # the learner pools by itself
    return encodes_alone(learner) and labels and not pooled


def encodes_alone(learner: Learner) -> bool:
    """Whether an image's features depend neither on the support nor on the batch."""
    return not learner.adapts_encoder and not getattr(learner.encoder, "transductive", False)


def encoded(learner: Learner, sampler: EpisodeSampler) -> tuple[Learner, EncodedEpisodes]:
    """`learner` without its encoder, and the sampler's episodes as features."""
    features = encode(learner.encoder, sampler.dataset)
    shown = encode(learner.encoder, sampler.dataset, learner) if reads_otherwise(learner) else None
    return without_encoder(learner), EncodedEpisodes(sampler, features, shown)


def reads_otherwise(learner: Learner) -> bool:
    """Whether the learner uses other features for support images than its encoder's."""
    return type(learner).support_features is not Learner.support_features


@torch.no_grad()
def encode(
    encoder: nn.Module, dataset: Dataset, learner: Learner | None = None
) -> Float[Tensor, "n f"]:
    """Features of all images of `dataset`, which has the encoder's form.

    With `learner`, its support features.
    """
    like, give = any_tensor(encoder), encoder if learner is None else learner.support_features
    parts = torch.arange(len(dataset)).split(AT_ONCE)
    found = [give(dataset.examples(part).x.to(like)) for part in parts]
    return torch.cat([features.float().cpu() for features in found])


def without_encoder(learner: Learner) -> Learner:
    """Copy of `learner` that takes features in place of images."""
    nothing = nn.Identity()
    if isinstance(known := getattr(learner.encoder, "n_features", None), int):
        nothing.n_features = known  # type: ignore[assignment]  (some learners need it)
    replaced: dict[int, Any] = {id(learner.encoder): nothing}
    return copy.deepcopy(learner, replaced)


class Remembering(nn.Module):
    """`encoder` with a cache: each image is encoded once, keyed by its hash."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self._known: dict[bytes, Tensor] = {}

    def __getattr__(self, name: str) -> Any:
        """Delegate other attributes to the encoder."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("encoder"), name)

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n f"]:
        """Features of images; only new ones are encoded."""
        keys = [hashlib.blake2b(image.cpu().numpy().tobytes()).digest() for image in x]
        new = {key: i for i, key in enumerate(keys) if key not in self._known}
        unseen = list(new.values())
        for few in (unseen[i : i + FEW] for i in range(0, len(unseen), FEW)):
            for i, features in zip(few, self.encoder(x[few]), strict=True):
                self._known[keys[i]] = features
        return torch.stack([self._known[key] for key in keys])


def with_cached_encoders(learner: Learner) -> Learner:
    """Copy of `learner` with cached encoders, or `learner` itself if they change.

    For cross-validation, which meets each image once per fold, and more often with a learner that
    cross-validates again inside each fold.
    """
    parts = [m for m in learner.modules() if isinstance(m, Learner) and not m.chooses]
    encoders = [m.encoder for m in parts if isinstance(m._modules.get("encoder"), nn.Module)]
    whole = any(getattr(e, "keeps_grid", False) or not _floats(e) for e in encoders)
    if whole or not all(encodes_alone(part) for part in parts):
        return learner
    replaced: dict[int, Any] = {id(e): Remembering(e) for e in encoders}
    return copy.deepcopy(learner, replaced)


def _floats(encoder: nn.Module) -> bool:
    """Whether the encoder takes 2D images of a declared form."""
    return bool(getattr(encoder, "channels", None)) and getattr(encoder, "dims", 2) == FLAT


@runtime_checkable
class NumberedEpisodes(Protocol):
    """Indexable episode source with a reproducibility fingerprint."""

    def episode(self, i: int) -> Episode:
        """Episode number `i`."""
        ...

    def describe(self) -> dict[str, Any]:
        """How the episodes are drawn, for the record."""
        ...

    def fingerprint(self, episodes: int) -> str:
        """Hash of the first `episodes` episodes."""
        ...


@dataclass(frozen=True, eq=False)
class EpisodeScores:
    """Every metric for every episode, with the description of the episodes."""

    learner: str
    scores: dict[str, Float[ndarray, "n"]]
    episodes: dict[str, Any]  # how they were drawn, number, hash
    transductive: bool

    @property
    def leading(self) -> str:
        """The leading metric, by which methods are compared."""
        return next(iter(self.scores))

    def interval(self, metric: str) -> Interval:
        """Mean over episodes with its 95% interval."""
        return mean_interval(self.scores[metric])

    def to_json(self) -> dict[str, Any]:
        """Means and intervals, with everything needed to reproduce them."""
        summary = {m: _finite(vars(self.interval(m))) for m in self.scores}
        about = {"learner": self.learner, "transductive": self.transductive}
        return {**about, "metrics": summary, "episodes": self.episodes, "versions": versions()}


@torch.no_grad()
def evaluate(
    learner: Learner,
    source: NumberedEpisodes,
    *,
    episodes: int = 600,
    name: str = "",
    tick: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> EpisodeScores:
    """Adapt `learner` to each of the first `episodes` episodes and score its predictions.

    If adaptation leaves the encoder unchanged, each image is encoded once for all episodes, with
    the same result, because features do not depend on the batch.

    Raises:
        TaskError: the learner does not support the task or its number of classes.
    """
    found: dict[str, list[float]] = {}
    with eval_mode(learner):
        ready, source = learner, _fitted(learner.encoder, source)
        fitted = source
        if isinstance(fitted, EpisodeSampler) and can_be_encoded(learner, fitted):
            ready, fitted = encoded(learner, fitted)
        for i in tick(range(episodes)):
            episode = fitted.episode(i)
            for metric, score in _scores(ready, episode).items():
                found.setdefault(metric, []).append(score)
    listed = {"count": episodes, "fingerprint": source.fingerprint(episodes)}
    return EpisodeScores(
        name or type(learner).__name__,
        {metric: np.array(values) for metric, values in found.items()},
        {**source.describe(), **listed},
        learner.transductive or bool(getattr(learner.encoder, "transductive", False)),
    )


def refuse_seen(dataset: Dataset, seen: Iterable[Mapping[str, Any]]) -> None:
    """Raise `LeakError` if meta-training or pretraining saw some of `dataset`.

    `seen` is the record of `run.json` or `encoder.json`: hashes of data sets, each with its
    classes, and hashes of files. An image that was saved again is a different file and is not
    recognized.
    """
    known: set[str] = set()
    for part in seen:
        known.update(part.get("images", ()))  # missing in older runs
        shared = set(part["classes"]) & set(dataset.labels)
        if part["hash"] == dataset.hash and shared:
            how = part.get("what", "run was meta-trained")
            raise LeakError(
                f"This {how} on {len(shared)} class(es) of {dataset.name} (first: {min(shared)}): "
                "a score on them is meaningless. Evaluate on data that it has not seen."
            )
    if shared := [i for i, file in enumerate(dataset.contents) if file in known]:
        first = f" (first: {dataset.rows[shared[0]].path.name})" if dataset.rows else ""
        raise LeakError(
            f"{len(shared)} of the {len(dataset)} images of {dataset.name}{first} have been "
            f"learned from before: scores on them are too good. Leave them out."
        )


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Replace undefined values by null: JSON has no NaN."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _scores(learner: Learner, episode: Episode) -> dict[str, float]:
    task = episode.task
    learner.check(task)
    like = next(learner.parameters(), torch.zeros(()))
    support, query = episode.support.to(like), episode.query.to(like)
    output = learner.learn(support, task).predict_batches(query.x)
    decoded = task.decode(output.double()).cpu().numpy()
    evidence = task.metric_inputs(decoded, query.y.cpu().numpy())
    return {metric: score(*evidence) for metric, score in task.metrics.items()}


def _fitted(encoder: nn.Module, source: NumberedEpisodes) -> NumberedEpisodes:
    channels, size = getattr(encoder, "channels", None), getattr(encoder, "size", None)
    if isinstance(source, DrawnEpisodes) and channels and size:
        return source.at(channels, size)
    return source
