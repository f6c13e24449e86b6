"""Meta-training: draw episodes, descend on the meta-loss, keep the best on meta-validation.

A run that was killed at any moment goes on from its last checkpoint and ends, on a CPU with the
same number of threads, with the same weights to the bit: episodes are numbered, and weights,
optimizer, random state and the best so far are in one file that is replaced whole.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medshot.core.episode import Episode
from medshot.core.errors import ConfigError, TaskError, TrainingError
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.sample import EpisodeSource
from medshot.training.checkpoint import Checkpoint
from medshot.training.device import choose_device, place
from medshot.training.progress import Watch, quiet
from medshot.training.run import Run, open_run
from medshot.training.sources import episode_sources


def train(
    learner: Learner,
    data: Dataset | Sequence[Dataset] | EpisodeSource,
    *,
    val: Dataset | Sequence[Dataset] | EpisodeSource | None = None,
    out: str | Path | None = None,
    way: int = 5,
    shot: int = 5,
    query: int = 5,
    steps: int = 1000,
    meta_batch: int = 1,
    lr: float = 1e-3,
    halve_every: int | None = None,
    val_every: int = 100,
    val_episodes: int = 50,
    patience: int | None = None,
    seed: int = 0,
    device: str = "auto",
    bf16: bool = False,
    channels_last: bool = False,
    checkpoint_seconds: float = 30.0,
    watch: Watch = quiet,
) -> Run:
    """Meta-train `learner` and return a run whose `learner` has the best weights found.

    Each step takes `meta_batch` episodes of `way` classes, `shot` support and `query` query
    images a class, from one data set each; a data set with fewer classes gives episodes of all
    of them. Adam (Kingma & Ba 2015, arXiv:1412.6980), its rate halved every `halve_every`
    steps. Every `val_every` steps the query loss over `val_episodes` fixed episodes of `val` is
    taken, and the run stops after `patience` of these without a better one. Where `val` is not
    given, a fifth of the classes (if there are at least 5 x way) or else of the patients is
    held out for it. With `out`, the run is kept there and goes on from there.

    Raises:
        TaskError: the learner is a baseline, with nothing to meta-train.
        TrainingError: the loss is no longer finite.
        SaveError: a checkpoint cannot be written; the one before stays.
        ConfigError: `out` holds a run with other settings.
    """
    settings = {k: v for k, v in locals().items() if k not in _NOT_SETTINGS}
    _check(learner, steps, meta_batch)
    place_on = choose_device(device)
    taught, judged = episode_sources(
        data, val, way=way, shot=shot, query=query, seed=seed, device=place_on
    )
    place(learner, place_on, channels_last)
    optimizer = torch.optim.Adam([p for p in learner.parameters() if p.requires_grad], lr=lr)
    described = {"train": taught.describe(), "val": judged.describe(), "settings": settings}
    run = open_run(learner, described, None if out is None else Path(out), watch)
    torch.manual_seed(seed)
    state = Checkpoint.resume(run.folder, learner, optimizer)
    run.history[:] = [row for row in run.history if row["step"] <= state.step]

    saved = time.monotonic()
    with run.scalars(state.step) as scalar, watch(steps, state.step) as tick:
        while state.step < steps and not state.exhausted(patience):
            _set_rate(optimizer, lr, halve_every, state.step)
            batch = range(state.step * meta_batch, (state.step + 1) * meta_batch)
            episodes = (_move(taught.episode(i), place_on, channels_last) for i in batch)
            loss = _step(learner, optimizer, episodes, meta_batch, bf16)
            state.step += 1
            if state.step % val_every == 0 or state.step == steps:
                _refuse_not_finite(loss, state.step, run)
                validation = validate(learner, judged, val_episodes, place_on)
                state.note(validation, learner)
                row = {"step": state.step, "loss": float(loss), "val_loss": validation}
                run.history.append(row)
                scalar(row)
                tick(state.step, row)
            else:
                tick(state.step, None)
            if time.monotonic() - saved > checkpoint_seconds or state.step == steps:
                state.save(run, learner, optimizer)
                saved = time.monotonic()
    state.save(run, learner, optimizer)
    state.restore_best(learner)
    return run.finish(learner.eval(), state)


@torch.no_grad()
def validate(learner: Learner, source: EpisodeSource, episodes: int, device: torch.device) -> float:
    """The mean query loss over the first `episodes` episodes of `source`."""
    training = learner.training
    learner.eval()
    total = 0.0
    for i in range(episodes):
        episode = _move(source.episode(i), device, False)
        output = learner.learn(episode.support, episode.task)(episode.query.x)
        total += episode.task.loss(output, episode.query.y).item()
    learner.train(training)
    return total / episodes


def _step(
    learner: Learner,
    optimizer: torch.optim.Optimizer,
    episodes: Iterator[Episode],
    meta_batch: int,
    bf16: bool,
) -> Tensor:
    learner.train()
    optimizer.zero_grad()
    total = torch.zeros(())
    for episode in episodes:
        kind = episode.support.x.device.type
        with torch.autocast(kind, torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = learner.meta_loss(episode) / meta_batch
        loss.backward()
        total = total + loss.detach().cpu()
    optimizer.step()
    return total


def _move(episode: Episode, device: torch.device, channels_last: bool) -> Episode:
    like = torch.zeros((), device=device)
    support, query = episode.support.to(like), episode.query.to(like)
    if channels_last and support.x.ndim == 4:
        layout = {"memory_format": torch.channels_last}
        support = type(support)(support.x.contiguous(**layout), support.y)
        query = type(query)(query.x.contiguous(**layout), query.y)
    return Episode(episode.task, support, query)


def _set_rate(
    optimizer: torch.optim.Optimizer, lr: float, halve_every: int | None, step: int
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * 0.5 ** (step // halve_every if halve_every else 0)


def _refuse_not_finite(loss: Tensor, step: int, run: Run) -> None:
    if not torch.isfinite(loss):
        kept = f" The last checkpoint in {run.folder} is kept." if run.folder else ""
        raise TrainingError(
            f"The loss is {float(loss)} at step {step}. Lower lr (and, for MAML, the inner lr), or "
            f"switch bf16 off.{kept}"
        )


def _check(learner: Learner, steps: int, meta_batch: int) -> None:
    if not learner.trainable:
        raise TaskError(
            f"{type(learner).__name__} is a baseline: it learns from the support alone and has "
            "nothing to meta-train. Use it as it is: `medshot adapt` or `medshot evaluate`."
        )
    if steps < 1 or meta_batch < 1:
        raise ConfigError("steps and meta_batch are at least 1.")


_NOT_SETTINGS = (
    *("learner", "data", "val", "out", "steps", "device", "checkpoint_seconds", "watch"),
)

__all__: list[Any] = ["train", "validate"]
