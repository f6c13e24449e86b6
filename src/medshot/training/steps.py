"""The steps of a meta-training: draw episodes, descend, validate now and then, keep checkpoints."""

import time
from dataclasses import dataclass, field

import torch

from medshot.core.episode import Episode
from medshot.core.learner import Learner
from medshot.data.episodes import EpisodeSource
from medshot.training.checkpoint import Checkpoint
from medshot.training.checks import refuse_not_finite
from medshot.training.device import place_episode
from medshot.training.gradient import Gradient, validate
from medshot.training.processes import Processes
from medshot.training.progress import Row, Watch, quiet
from medshot.training.run import Run
from medshot.training.scalars import Scalars
from medshot.training.settings import Settings


@dataclass
class Steps:
    """What every step needs, and the state that it changes."""

    learner: Learner
    gradient: Gradient
    optimizer: torch.optim.Optimizer
    taught: EpisodeSource
    judged: EpisodeSource
    settings: Settings
    device: torch.device
    together: Processes
    run: Run
    state: Checkpoint
    checkpoint_seconds: float
    _saved: tuple[float, int] = field(init=False)  # when, and at which step

    def take(self, watch: Watch) -> None:
        """All steps that are left, and a checkpoint at the end."""
        state, steps = self.state, self.settings.steps
        folder = self.run.folder if self.together.first else None
        watched = (watch if self.together.first else quiet)(steps, state.step)
        self._saved = time.monotonic(), state.step
        with Scalars(folder, state.step) as scalars, watched as tick:
            while state.step < steps and not state.exhausted(self.settings.patience):
                loss = self._step()
                row = None
                if state.step % self.settings.val_every == 0 or state.step == steps:
                    row = self._validate(loss)
                    scalars.write(row)
                tick(state.step, row)
                if time.monotonic() - self._saved[0] >= self.checkpoint_seconds:
                    self.save()
        if state.step > self._saved[1]:
            self.save()

    def save(self) -> None:
        """Write the checkpoint, where there is a folder and this process is the one that writes."""
        folder = self.run.folder if self.together.first else None
        self.state.save(folder, self.learner, self.optimizer)
        self._saved = time.monotonic(), self.state.step

    def _step(self) -> float:
        """One step on the next episodes; their loss."""
        step, settings = self.state.step, self.settings
        self.optimizer.param_groups[0]["lr"] = settings.rate(step)
        self.learner.begin_step(step)
        numbers = self.together.indices(step, settings.meta_batch)
        drawn = (self._placed(self.taught.episode(i)) for i in numbers)
        mine = self.gradient.backward(drawn, len(numbers))
        loss = self.together.average(self.learner, mine)
        refuse_not_finite(loss, step + 1, self.run)
        self.optimizer.step()
        self.state.step += 1
        return loss

    def _validate(self, loss: float) -> Row:
        count = self.settings.val_episodes
        numbers = self.together.part(count)
        total = self.together.sum(validate(self.learner, self.judged, numbers, self.device))
        row: Row = {"step": self.state.step, "loss": loss, "val_loss": total / count}
        self.state.note(row, self.learner)
        return row

    def _placed(self, episode: Episode) -> Episode:
        self.learner.check(episode.task)
        return place_episode(episode, self.device, self.settings.channels_last)
