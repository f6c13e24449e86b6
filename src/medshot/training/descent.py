"""Descend on a loss, for the stages around adapting: watched, kept, gone on with after a kill."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.atomic import write_text
from medshot.core.errors import ConfigError, TrainingError
from medshot.training.checkpoint import Checkpoint
from medshot.training.progress import Row, Watch, quiet
from medshot.training.scalars import Scalars

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
