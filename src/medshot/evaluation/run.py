"""Run a learner over numbered episodes: adapt on each support, answer each query."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from medshot.core.episode import Examples
from medshot.core.errors import LeakError
from medshot.core.learner import Learner
from medshot.core.store import versions
from medshot.data.dataset import Dataset
from medshot.data.preprocess import unit
from medshot.data.sample import EpisodeSampler
from medshot.evaluation.metrics import METRICS
from medshot.evaluation.statistics import Interval, mean_interval
from medshot.tasks import Classification

AT_ONCE = 256  # images encoded together


@dataclass(frozen=True, eq=False)
class Result:
    """Every metric for every episode, and what the episodes were."""

    learner: str
    scores: dict[str, Float[ndarray, "n"]]
    episodes: dict[str, Any]  # how they were drawn, how many, their hash
    transductive: bool

    def interval(self, metric: str) -> Interval:
        """The mean over episodes with its 95 % interval."""
        return mean_interval(self.scores[metric])

    def to_json(self) -> dict[str, Any]:
        """Means and intervals, and everything needed to get them again."""
        summary = {m: vars(self.interval(m)) for m in self.scores}
        about = {"learner": self.learner, "transductive": self.transductive}
        return {**about, "metrics": summary, "episodes": self.episodes, "versions": versions()}


@torch.no_grad()
def evaluate(
    learner: Learner,
    sampler: EpisodeSampler,
    *,
    episodes: int = 600,
    name: str = "",
    tick: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Result:
    """Adapt `learner` to each of the first `episodes` episodes and score its answers.

    Where adapting leaves the encoder as it is, each image is encoded once for all episodes: the
    numbers are the same, because no image's features depend on its neighbours.
    """
    training = learner.training
    learner.eval()
    sampler = _fitted(learner.encoder, sampler)
    transductive = bool(getattr(learner.encoder, "transductive", False))
    if learner.adapts_encoder or transductive or sampler.rotate:
        ready, x = learner, None
    else:
        ready, x = with_features(learner, sampler.dataset)
    found: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for i in tick(range(episodes)):
        probabilities, y = _answer(ready, sampler, i, x)
        for metric, score in METRICS.items():
            found[metric].append(score(probabilities, y))
    learner.train(training)
    listed = {"count": episodes, "fingerprint": sampler.fingerprint(episodes)}
    return Result(
        name or type(learner).__name__,
        {metric: np.array(values) for metric, values in found.items()},
        {**sampler.describe(), **listed},
        transductive,
    )


@torch.no_grad()
def with_features(learner: Learner, dataset: Dataset) -> tuple[Learner, Float[Tensor, "n f"]]:
    """`learner` without its encoder, and the features of all images of a `dataset` in its form."""
    like = next(learner.encoder.parameters(), torch.zeros(()))
    batches = dataset.x.split(AT_ONCE)
    features = torch.cat([learner.encoder(unit(b).to(like)).float().cpu() for b in batches])
    kept = {id(learner.encoder): nn.Identity()}
    return copy.deepcopy(learner, kept), features  # type: ignore[arg-type]


def refuse_seen(dataset: Dataset, trained_on: Iterable[str]) -> None:
    """Raise `LeakError` if meta-training saw `dataset` (by its hash)."""
    if dataset.hash in set(trained_on):
        raise LeakError(
            f"This run was meta-trained on {dataset.name}: what it scores there says nothing. "
            "Evaluate on data that it has not seen."
        )


def _answer(
    learner: Learner, sampler: EpisodeSampler, i: int, features: Tensor | None
) -> tuple[ndarray, ndarray]:
    if features is None:
        episode = sampler.episode(i)
        like = next(learner.parameters(), torch.zeros(()))
        support, query = episode.support.to(like), episode.query.to(like)
        task = episode.task
    else:
        drawn = sampler.draw(i)
        task = Classification(sampler.way)
        y, query_y = torch.from_numpy(drawn.support_y), torch.from_numpy(drawn.query_y)
        support = Examples(features[torch.from_numpy(drawn.support)], y)
        query = Examples(features[torch.from_numpy(drawn.query)], query_y)
    output = learner.learn(support, task)(query.x)
    return task.probabilities(output.double()).cpu().numpy(), query.y.cpu().numpy()


def _fitted(encoder: nn.Module, sampler: EpisodeSampler) -> EpisodeSampler:
    channels, size = (getattr(encoder, name, None) for name in ("channels", "size"))
    return sampler.at(channels, size) if channels and size else sampler
