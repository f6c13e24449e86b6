"""Meta-training: draw episodes, descend on the meta-loss, keep the best on meta-validation.

A run that was killed at any moment goes on from its last checkpoint and ends, on a CPU with the
same number of threads, with the same weights to the bit: episodes are numbered, and weights,
optimizer, random state and the best so far are in one file that is replaced whole.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSource
from medshot.training.auxiliary_losses import AuxiliaryLoss
from medshot.training.checkpoint import Checkpoint
from medshot.training.config import Settings
from medshot.training.device import choose_device, place
from medshot.training.distributed import processes
from medshot.training.gradient import Gradient, choose_vmap
from medshot.training.objective import Objective
from medshot.training.progress import Watch, quiet
from medshot.training.run import Run, open_run
from medshot.training.sources import episode_sources, references, seen
from medshot.training.trainer import Trainer, refuse_baseline


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
    workers: int = 1,
    vectorise: bool | None = None,
    terms: Sequence[AuxiliaryLoss] = (),
    checkpoint_seconds: float = 30.0,
    watch: Watch = quiet,
) -> Run:
    """Meta-train `learner` and return a run whose `learner` has the best weights found.

    Each step takes `meta_batch` episodes of `way` classes, `shot` support and `query` query
    images a class, from one data set each; of several data sets, one with fewer classes gives
    episodes of all it has. Adam (Kingma & Ba 2015, arXiv:1412.6980), its rate halved every
    `halve_every` steps. Every `val_every` steps, and at the end, the query loss over
    `val_episodes` fixed episodes of `val` is taken, and the run stops after `patience` of these
    without a better one. Where `val` is not given, a fifth of the classes (if there are at least
    5 x way) or else of the patients is held out for it. With `out`, the run is kept there and
    goes on from there. On a CPU, `workers` threads share out the episodes of a step;
    under torchrun, so do its processes. `vectorise` takes all episodes of a step in one pass, by
    default on a GPU and where the learner can; tasks with masks go one by one all the same.
    `terms` are added to the learner's meta-loss.

    Raises:
        TaskError: the learner is a baseline, with nothing to meta-train.
        TrainingError: the loss is no longer finite, or another process was lost.
        SaveError: a checkpoint cannot be written; the one before stays.
        ConfigError: an option that cannot be, or `out` holds a run with other settings.
        DataError: too few classes, patients or images for such episodes.
    """
    refuse_baseline(learner)
    settings = Settings(
        way=way,
        shot=shot,
        query=query,
        steps=steps,
        meta_batch=meta_batch,
        lr=lr,
        halve_every=halve_every,
        val_every=val_every,
        val_episodes=val_episodes,
        patience=patience,
        seed=seed,
        bf16=bf16,
        channels_last=channels_last,
        workers=workers,
        vectorise=vectorise,
        terms=[term.describe() for term in terms],
    )
    place_on = choose_device(device)
    taught, judged = episode_sources(
        data,
        val,
        way=way,
        shot=shot,
        query=query,
        seed=seed,
        device=place_on,
        encoder=learner.encoder,
    )
    objective = Objective(learner, terms)
    place(objective, place_on, channels_last)
    one_pass = choose_vmap(objective, settings, place_on)
    gradient = Gradient(objective, workers=workers, one_pass=one_pass, bf16=bf16)
    described: dict[str, Any] = {"train": taught.describe(), "val": judged.describe()}
    before = list(getattr(learner.encoder, "seen", ()))
    described |= {"settings": settings.record(), "seen": seen(taught) + seen(judged) + before}
    if (origin := getattr(learner.encoder, "origin", "untrained")) != "untrained":
        described["before"] = origin
    optimizer = torch.optim.Adam([p for p in learner.parameters() if p.requires_grad], lr=lr)
    if cite := [*references(taught), *objective.references()]:
        described["cite"] = cite
    with processes(place_on) as together:
        objective.check(together.share(meta_batch))
        with together.in_turn():  # killed before its first checkpoint, a run begins with the same
            run = open_run(learner, described, None if out is None else Path(out))
            torch.manual_seed(seed)
            state = Checkpoint.resume(run.folder, learner, optimizer)
            left = Trainer(
                learner=learner,
                gradient=gradient,
                optimizer=optimizer,
                taught=taught,
                judged=judged,
                settings=settings,
                device=place_on,
                together=together,
                run=run,
                state=state,
                checkpoint_seconds=checkpoint_seconds,
            )
            if state.step == 0:
                left.save()
        together.alike(learner)
        left.take(watch)
    return run.finish(state)
