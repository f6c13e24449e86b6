"""The steps of a meta-training: draw episodes, descend, validate now and then, keep checkpoints.

Descend on a loss, for the stages around adapting: watched, kept, gone on with after a kill.

What meta-training refuses, before it begins and as it goes.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.atomic import write_text
from medshot.core.episode import Episode
from medshot.core.errors import ConfigError, TaskError, TrainingError
from medshot.core.learner import Learner
from medshot.core.registry import called
from medshot.data.episodes import EpisodeSource
from medshot.training.checkpoint import Checkpoint
from medshot.training.config import Settings
from medshot.training.device import place_episode
from medshot.training.distributed import Processes
from medshot.training.gradient import Gradient, validate
from medshot.training.progress import Row, Scalars, Watch, quiet
from medshot.training.run import Run

ABOUT = "descent.json"
SECONDS = 30.0  # between checkpoints

Loss = Callable[[int], Float[Tensor, ""]]


def descend(
    module: nn.Module,
    loss: Loss,
    *,
    steps: int,
    lr: float,
    judge: Callable[[], float] | None = None,
    judge_every: int = 50,
    patience: int | None = None,
    weight_decay: float = 0.0,
    rate: Callable[[int], float] | None = None,
    folder: Path | None = None,
    settings: dict[str, Any] | None = None,
    watch: Watch = quiet,
) -> list[Row]:
    """Move those parameters of `module` that require a gradient, `steps` steps of Adam.

    `loss` gives the loss of a step by its number, from which it draws its batch too: then a
    descent that was killed goes on as if it had not been. Every `judge_every` steps, and at the
    end, `judge` says how bad `module` is on what it does not descend on; the best weights are
    kept, and after `patience` judgements without a better one it ends. Without `judge` the last
    weights are the result. `rate` gives the learning rate of a step in place of `lr`, which it is
    noted by. With `folder`, checkpoints, TensorBoard's scalars and `settings` are
    kept there.

    Returns: a row for each judgement, `step`, `loss` and `val_loss`.

    Raises:
        ConfigError: a number that cannot be, or `folder` holds a descent with other settings.
        TrainingError: the loss is no longer finite.
    """
    if steps < 0 or judge_every < 1 or not 0 < lr < math.inf:
        raise ConfigError(
            f"steps={steps} must be at least 0, judge_every={judge_every} at least 1, and "
            f"lr={lr} above 0."
        )
    if folder is not None:
        _same(folder, {**(settings or {}), "lr": lr, "weight_decay": weight_decay})
    moving = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(moving, lr=lr, weight_decay=weight_decay)
    state = Checkpoint.resume(folder, module, optimizer)
    saved = time.monotonic()
    with torch.enable_grad(), Scalars(folder, state.step) as scalars, watch(steps, state.step) as t:
        while state.step < steps and not state.exhausted(patience):
            _set_rate(optimizer, lr if rate is None else rate(state.step))
            optimizer.zero_grad()
            found = loss(state.step)
            _refuse_not_finite(found, state.step)
            found.backward()
            optimizer.step()
            state.step += 1
            row = None
            if state.step % judge_every == 0 or state.step == steps:
                row = _judged(state, module, float(found.detach()), judge)
                scalars.write(row)
            t(state.step, row)
            if time.monotonic() - saved >= SECONDS:
                state.save(folder, module, optimizer)
                saved = time.monotonic()
    state.save(folder, module, optimizer)
    if judge is not None:
        state.restore_best(module)
    return state.history


def batch_of(step: int, n: int, batch: int, seed: int = 0) -> Tensor:
    """The positions of the images of a step: every image once, in an order drawn anew each round.

    They are a function of the step's number, so that a descent can go on anywhere.
    """
    a_round = -(-n // batch)
    rng = torch.Generator().manual_seed(seed * 1_000_003 + step // a_round)
    order = torch.randperm(n, generator=rng)
    first = step % a_round * batch
    return order[first : first + batch]


def _judged(
    state: Checkpoint, module: nn.Module, loss: float, judge: Callable[[], float] | None
) -> Row:
    row: Row = {"step": state.step, "loss": loss}
    if judge is None:
        state.history.append(row)
        return row
    with torch.no_grad():
        row["val_loss"] = judge()
    state.note(row, module)
    return row


def _set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


def _refuse_not_finite(loss: Tensor, step: int) -> None:
    if not torch.isfinite(loss):
        raise TrainingError(
            f"The loss of step {step + 1} is {float(loss.detach())}. Take a smaller lr, and see "
            "`medshot data check DIR`."
        )


def _same(folder: Path, settings: dict[str, Any]) -> None:
    """Note what is done in `folder`; refuse one where something else was begun."""
    file, now = folder / ABOUT, json.loads(json.dumps(settings))
    if not file.exists():
        write_text(file, json.dumps(now, indent=2) + "\n")
        return
    before = json.loads(file.read_text(encoding="utf-8"))
    if before != now:
        names = sorted(n for n in before | now if before.get(n) != now.get(n))
        raise ConfigError(
            f"{folder} was begun with another {', '.join(names)}. Give the same options to go on "
            "with it, or remove it to begin again."
        )


def refuse_not_finite(loss: float, step: int, run: Run) -> None:
    """Raise `TrainingError` if the loss is NaN or infinite."""
    if not math.isfinite(loss):
        kept = f" The last checkpoint in {run.folder} is kept." if run.folder else ""
        raise TrainingError(
            f"The loss is {loss} at step {step}. Lower lr (and, for MAML, the inner lr), or "
            f"switch bf16 off.{kept}"
        )


def refuse_baseline(learner: Learner) -> None:
    """Raise `TaskError` if there is nothing to meta-train."""
    if not learner.trainable:
        raise TaskError(
            f"{called(learner)} is a baseline: it learns from the support alone and has "
            "nothing to meta-train. Use it as it is: `medshot adapt` or `medshot evaluate`."
        )


@dataclass
class Trainer:
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
