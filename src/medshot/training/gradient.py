"""One step's gradient, and the loss that judges the learner between steps."""

from collections.abc import Iterable

import torch

from medshot.core.episode import Episode
from medshot.core.learner import Learner
from medshot.data.episodes import EpisodeSource
from medshot.training.device import place_episode
from medshot.training.objective import Objective, autocast
from medshot.training.one_pass import backward_in_one_pass
from medshot.training.workers import Workers


class Gradient:
    """The gradient of the mean objective over episodes, by the way that suits the machine.

    One chunk of episodes after the other; or in `one_pass`, but where there are masks, whose
    labelled pixels are of no one number; or by threads, each with a part of the
    chunks. All three give the same but for rounding.
    """

    def __init__(
        self, objective: Objective, *, workers: int = 1, one_pass: bool = False, bf16: bool = False
    ) -> None:
        self.objective, self.one_pass, self.bf16 = objective, one_pass, bf16
        self.crew = Workers(objective, workers) if workers > 1 else None

    def backward(self, episodes: Iterable[Episode], count: int) -> float:
        """The mean objective over `count` episodes; its gradient is left in the parameters."""
        self.objective.learner.train()
        self.objective.learner.zero_grad()
        chunks = self.objective.chunks(episodes)
        if self.crew is not None:
            return self.crew.backward(list(chunks), bf16=self.bf16)
        if self.one_pass:
            chunks = list(chunks)
            if not any(episode.task.on_grid for chunk in chunks for episode in chunk):
                return backward_in_one_pass(self.objective, chunks)
        total = 0.0
        for chunk in chunks:
            with autocast(chunk, self.bf16):
                loss = self.objective(chunk) * len(chunk) / count
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
