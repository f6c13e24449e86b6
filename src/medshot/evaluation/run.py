"""Run a learner over numbered episodes: adapt on each support, answer each query."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import nn

from medshot.core.episode import Episode
from medshot.core.errors import LeakError
from medshot.core.learner import Learner
from medshot.core.predictor import eval_mode
from medshot.core.store import versions
from medshot.data.dataset import Dataset, DrawnEpisodes
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.encoded import can_be_encoded, encoded
from medshot.evaluation.statistics import Interval, mean_interval


@runtime_checkable
class NumberedEpisodes(Protocol):
    """Endless numbered episodes whose list can be told from another by its hash."""

    def episode(self, i: int) -> Episode:
        """Episode number `i`."""
        ...

    def describe(self) -> dict[str, Any]:
        """What the episodes are, for the record."""
        ...

    def fingerprint(self, episodes: int) -> str:
        """A hash of the first `episodes` of them."""
        ...


@dataclass(frozen=True, eq=False)
class Result:
    """Every metric for every episode, and what the episodes were."""

    learner: str
    scores: dict[str, Float[ndarray, "n"]]
    episodes: dict[str, Any]  # how they were drawn, how many, their hash
    transductive: bool

    @property
    def leading(self) -> str:
        """The metric by which methods are compared: the first."""
        return next(iter(self.scores))

    def interval(self, metric: str) -> Interval:
        """The mean over episodes with its 95 % interval."""
        return mean_interval(self.scores[metric])

    def to_json(self) -> dict[str, Any]:
        """Means and intervals, and everything needed to get them again."""
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
) -> Result:
    """Adapt `learner` to each of the first `episodes` episodes and score its answers.

    Where adapting leaves the encoder as it is, each image is encoded once for all episodes: the
    numbers are the same, because no image's features depend on its neighbours.

    Raises:
        TaskError: the learner does not do tasks of that kind, or of that many classes.
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
    return Result(
        name or type(learner).__name__,
        {metric: np.array(values) for metric, values in found.items()},
        {**source.describe(), **listed},
        learner.transductive or bool(getattr(learner.encoder, "transductive", False)),
    )


def refuse_seen(dataset: Dataset, seen: Iterable[Mapping[str, Any]]) -> None:
    """Raise `LeakError` if meta-training, or the encoder's pretraining, saw some of `dataset`.

    `seen` is what `run.json` or `encoder.json` says of the data: hashes, each with its classes, and
    the hashes of files. An image that was saved anew is another file, and is not known again.
    """
    known: set[str] = set()
    for part in seen:
        known.update(part.get("images", ()))  # runs of before do not say it
        shared = set(part["classes"]) & set(dataset.labels)
        if part["hash"] == dataset.hash and shared:
            how = part.get("what", "run was meta-trained")
            raise LeakError(
                f"This {how} on {len(shared)} class(es) of {dataset.name} (first: {min(shared)}): "
                "what it scores there says nothing. Evaluate on data that it has not seen."
            )
    if shared := [i for i, file in enumerate(dataset.contents) if file in known]:
        first = f" (first: {dataset.rows[shared[0]].path.name})" if dataset.rows else ""
        raise LeakError(
            f"{len(shared)} of the {len(dataset)} images of {dataset.name}{first} have been learnt "
            f"from before: what it scores there is too good. Leave them out."
        )


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: what is not defined (the interval of one episode) is null."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _scores(learner: Learner, episode: Episode) -> dict[str, float]:
    task = episode.task
    learner.check(task)
    like = next(learner.parameters(), torch.zeros(()))
    support, query = episode.support.to(like), episode.query.to(like)
    output = learner.learn(support, task).answer_all(query.x)
    decoded = task.decode(output.double()).cpu().numpy()
    evidence = task.evidence(decoded, query.y.cpu().numpy())
    return {metric: score(*evidence) for metric, score in task.metrics.items()}


def _fitted(encoder: nn.Module, source: NumberedEpisodes) -> NumberedEpisodes:
    channels, size = getattr(encoder, "channels", None), getattr(encoder, "size", None)
    if isinstance(source, DrawnEpisodes) and channels and size:
        return source.at(channels, size)
    return source
