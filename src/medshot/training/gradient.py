"""One step's gradient, and the loss that judges the learner between steps."""

import contextlib
from collections.abc import Iterable

import torch

from medshot.core.episode import Episode
from medshot.core.learner import Learner
from medshot.data.sample import EpisodeSource
from medshot.training.device import place_episode
from medshot.training.workers import Workers


def mean_gradient(
    learner: Learner, crew: Workers | None, episodes: Iterable[Episode], count: int, bf16: bool
) -> float:
    """The mean meta-loss over `count` episodes; its gradient is left in the parameters."""
    learner.train()
    learner.zero_grad()
    if crew is not None:
        return crew.backward(list(episodes), bf16=bf16)
    total = 0.0
    for episode in episodes:
        kind = episode.support.x.device.type
        with torch.autocast(kind, torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = learner.meta_loss(episode) / count
        loss.backward()
        total += loss.item()
    return total


@torch.no_grad()
def validate(
    learner: Learner, source: EpisodeSource, numbers: Iterable[int], device: torch.device
) -> float:
    """The sum of the query losses over the episodes `numbers` of `source`."""
    training = learner.training
    learner.eval()
    total = 0.0
    for i in numbers:
        episode = place_episode(source.episode(i), device, False)
        output = learner.learn(episode.support, episode.task)(episode.query.x)
        total += episode.task.loss(output, episode.query.y).item()
    learner.train(training)
    return total
