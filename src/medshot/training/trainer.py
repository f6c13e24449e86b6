"""The training loop under meta-training, pretraining and the stages."""

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
from medshot.core.errors import ConfigError, TrainingError
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

    `backward(step)` leaves the gradient of a step, by its number, in the parameters and returns
    the loss. It draws the step's data from that number too: then a run that was killed goes on as
    if it had not been. Every `val_every` steps, and at the end, `validate` gives the validation
    loss; the best weights are kept and put into `module` at the end, and after `patience`
    validations without a better one it ends. Without `validate` the last weights are the result.
    With `folder`, checkpoints and TensorBoard's scalars are kept there; one that holds a checkpoint
    is gone on with. Several processes, `together`, average their gradients.
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
        """All steps that are left, and a checkpoint at the end; the state, with its history.

        Raises:
            TrainingError: the loss is no longer finite, or another process was lost.
            SaveError: a checkpoint cannot be written; the one before stays.
        """
        state = self.state
        folder, watch = (self.folder, self.watch) if self.together.first else (None, quiet)
        self._saved = time.monotonic(), state.step
        shown = watch(self.steps, state.step)
        with torch.enable_grad(), Scalars(folder, state.step) as scalars, shown as tick:
            while state.step < self.steps and not state.exhausted(self.patience):
                loss = self._step()
                row = None
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
        """Write the checkpoint, where there is a folder and this process is the one that writes."""
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
    """Train `module` on `loss`, which gives the loss of a step by its number; see `Trainer`.

    `rate` gives the learning rate of a step in place of `lr`, which it is noted by. With `folder`,
    `settings` are kept there too, and a descent with others is refused.

    Returns: a row for each validation, `step`, `loss` and `val_loss`.

    Raises:
        ConfigError: a number that cannot be, or `folder` holds a descent with other settings.
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
    """The positions of the images of a step: every image once, in an order drawn anew each round.

    They are a function of the step's number, so that a descent can go on anywhere.
    """
    a_round = -(-n // batch)
    rng = torch.Generator().manual_seed(seed * 1_000_003 + step // a_round)
    order = torch.randperm(n, generator=rng)
    first = step % a_round * batch
    return order[first : first + batch]


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
