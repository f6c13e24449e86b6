"""Resumable training loop of meta-training, pretraining and the stages."""

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import ConfigError, TrainingError
from medshot.core.atomic import write_text
from medshot.training.checkpoint import FILE, Checkpoint
from medshot.training.distributed import Processes
from medshot.training.progress import Row, Scalars, Watch, quiet

ABOUT = "descent.json"
SECONDS = 30.0  # between checkpoints

Loss = Callable[[int], Float[Tensor, ""]]


@dataclass
class Trainer:
    """Training loop: Adam on the parameters of `module` that require a gradient.

    Source: Kingma & Ba 2015, arXiv:1412.6980; `rate(step)` is the learning rate.

    `backward(step)` leaves the gradient of a step in the parameters and returns the loss. It must
    draw the step's data from the step number: then a killed run resumes bit-exactly. Every
    `val_every` steps, and at the end, `validate` gives the validation loss; the best weights are
    kept and put into `module` at the end, and training stops after `patience` validations without
    improvement. Without `validate` the last weights are the result. With `folder`, checkpoints and
    TensorBoard scalars are written there, and an existing checkpoint is resumed; Ctrl-C and SIGTERM
    wait for the end of the step, for a last checkpoint. With several processes, `together`,
    gradients are averaged.
    """

    module: nn.Module
    backward: Callable[[int], float]
    steps: int
    rate: Callable[[int], float]
    validate: Callable[[], float] | None = None
    val_every: int = 50
    patience: int | None = None
    folder: Path | None = None
    checkpoint_seconds: float = SECONDS
    together: Processes = field(default_factory=Processes)
    watch: Watch = quiet
    advice: str = "Take a smaller lr, and see `medshot data check DIR`."  # if the loss is NaN

    def __post_init__(self) -> None:
        moving = [p for p in self.module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(moving)
        self.state = Checkpoint.resume(self.folder, self.module, self.optimizer)
        self._saved = time.monotonic(), self.state.step  # when, and at which step

    def fit(self) -> Checkpoint:
        """Run the remaining steps and write a checkpoint; return the state with its history.

        Raises:
            TrainingError: the loss is no longer finite, or another process was lost.
            SaveError: a checkpoint cannot be written; the previous one stays.
        """
        state = self.state
        folder, watch = (self.folder, self.watch) if self.together.first else (None, quiet)
        self._saved = time.monotonic(), state.step
        shown = watch(self.steps, state.step)
        with (
            stopping_whole(self.save if folder and self.together.size == 1 else None) as asked,
            torch.enable_grad(),
            Scalars(folder, state.step) as scalars,
            shown as tick,
        ):
            while state.step < self.steps and not state.exhausted(self.patience) and not asked:
                loss = self._step()
                row: Row = {"loss": loss}
                if state.step % self.val_every == 0 or state.step == self.steps:
                    row = self._validated(loss)
                    scalars.write(row)
                tick(state.step, row)
                if time.monotonic() - self._saved[0] >= self.checkpoint_seconds:
                    self.save()
        if state.step > self._saved[1]:
            self.save()
        state.restore_best(self.module)
        return state

    def save(self) -> None:
        """Write a checkpoint if there is a folder and this is the first process."""
        folder = self.folder if self.together.first else None
        self.state.save(folder, self.module, self.optimizer)
        self._saved = time.monotonic(), self.state.step

    def _step(self) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.state.step)
        loss = self.together.average(self.module, self.backward(self.state.step))
        if not math.isfinite(loss):
            kept = ""
            if self.folder is not None and (self.folder / FILE).exists():
                kept = f" The last checkpoint in {self.folder} is kept."
            raise TrainingError(
                f"The loss is {loss} at step {self.state.step + 1}. {self.advice}{kept}"
            )
        self.optimizer.step()
        self.state.step += 1
        return loss

    def _validated(self, loss: float) -> Row:
        row: Row = {"step": self.state.step, "loss": loss}
        if self.validate is None:
            self.state.history.append(row)
            return row
        with torch.no_grad():
            row["val_loss"] = self.validate()
        self.state.note(row, self.module)
        return row


@contextmanager
def stopping_whole(save: Callable[[], None] | None) -> Iterator[list[int]]:
    """Let Ctrl-C and SIGTERM wait for the end of a step, and `save` before they take effect.

    Yields the signals that came: the loop is to end when there is one. A second one takes effect at
    once, as any does without `save` or outside of the main thread.
    """
    came: list[int] = []
    if save is None or threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = {
        number: signal.getsignal(number) or signal.SIG_DFL
        for number in (signal.SIGINT, signal.SIGTERM)
    }

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: object) -> None:
        del frame
        came.append(number)
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield came
        if came:
            save()
    finally:
        restore()
    if came:
        signal.raise_signal(came[0])


def descend(
    module: nn.Module,
    loss: Loss,
    *,
    steps: int,
    lr: float,
    rate: Callable[[int], float] | None = None,
    validate: Callable[[], float] | None = None,
    val_every: int = 50,
    patience: int | None = None,
    folder: Path | None = None,
    settings: dict[str, Any] | None = None,
    watch: Watch = quiet,
) -> list[Row]:
    """Minimize `loss(step)` over the parameters of `module`; see `Trainer`.

    `rate(step)` gives the learning rate in place of the constant `lr`, which is still recorded.
    With `folder`, `settings` are saved there too, and a later call must have the same.

    Returns: a row for each validation, `step`, `loss` and `val_loss`.

    Raises:
        ConfigError: an invalid number, or `folder` holds a training run with different settings.
        TrainingError: the loss is no longer finite.
    """
    if steps < 0 or val_every < 1 or not 0 < lr < math.inf:
        raise ConfigError(
            f"steps={steps} must be at least 0, the steps between validations ({val_every}) at "
            f"least 1, and lr={lr} above 0 and finite."
        )
    if folder is not None:
        _same(folder, {**(settings or {}), "lr": lr})

    def backward(step: int) -> float:
        module.zero_grad()
        found = loss(step)
        found.backward()
        return float(found.detach())

    trainer = Trainer(
        module,
        backward,
        steps,
        rate or (lambda step: lr),
        validate=validate,
        val_every=val_every,
        patience=patience,
        folder=folder,
        watch=watch,
    )
    return trainer.fit().history


def batch_of(step: int, n: int, batch: int, seed: int = 0) -> Tensor:
    """Indices of the batch of a step: every image once an epoch, in a new random order each.

    They are a function of the step number, so that training can resume at any step.
    """
    epoch = -(-n // batch)  # in steps
    rng = torch.Generator().manual_seed(seed * 1_000_003 + step // epoch)
    order = torch.randperm(n, generator=rng)
    first = step % epoch * batch
    return order[first : first + batch]


def _same(folder: Path, settings: dict[str, Any]) -> None:
    """Save `settings` in `folder`; raise `ConfigError` if it holds different ones."""
    file, now = folder / ABOUT, json.loads(json.dumps(settings))
    if not file.exists():
        write_text(file, json.dumps(now, indent=2) + "\n")
        return
    before = json.loads(file.read_text(encoding="utf-8"))
    if before != now:
        names = sorted(n for n in before | now if before.get(n) != now.get(n))
        raise ConfigError(
            f"{folder} was begun with another {', '.join(names)}. Give the same options to "
            "resume, or remove it to start again."
        )
