"""Meta-training: draw episodes, minimize the meta-loss, keep the best weights on meta-validation.

A run that is killed at any moment resumes from its last checkpoint and ends, on a CPU with the
same number of threads, with bit-identical weights: episodes are numbered, and weights, optimizer
state, random state and the best weights are in one file that is replaced atomically.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from medshot.core import Episode, Learner, TaskError, called, unknown
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSource
from medshot.training.config import TrainConfig, document_options
from medshot.training.device import choose_device, place, place_episode
from medshot.training.distributed import processes
from medshot.training.gradient import Gradient, choose_vmap, validate
from medshot.training.objective import AuxiliaryLoss, MetaObjective
from medshot.training.progress import Watch, quiet
from medshot.training.run import Run, open_run
from medshot.training.sources import episode_sources, references, seen
from medshot.training.trainer import SECONDS, Trainer


@document_options(TrainConfig)
def train(
    learner: Learner,
    data: Dataset | Sequence[Dataset] | EpisodeSource,
    *,
    val: Dataset | Sequence[Dataset] | EpisodeSource | None = None,
    out: str | Path | None = None,
    terms: Sequence[AuxiliaryLoss] = (),
    checkpoint_seconds: float = SECONDS,
    watch: Watch = quiet,
    **options: Any,
) -> Run:
    """Meta-train `learner` and return a run whose `learner` has the best weights found.

    Each step takes `meta_batch` episodes of `way` classes, `shot` support and `query` query
    images a class, each from one data set; with several data sets, one with fewer classes uses
    all of them. The optimizer is Adam (Kingma & Ba 2015, arXiv:1412.6980), its learning rate
    halved every `halve_every` steps. Every `val_every` steps, and at the end, the query loss is
    computed over `val_episodes` fixed episodes of `val`, and the run stops after `patience`
    validations without improvement. Without `val`, a fifth of the classes (if there are at least
    5 x way) or else of the patients is held out. With `out`, the run is saved there and resumed
    from there. On a CPU, `workers` threads share the episodes of a step; under torchrun, so do
    its processes. `vectorise` computes all episodes of a step in one pass, by default on a GPU
    where the learner supports it; tasks with masks run one by one. `terms` are auxiliary losses,
    added to the learner's meta-loss.

    Raises:
        TaskError: the learner is a baseline, with nothing to meta-train.
        TrainingError: the loss is no longer finite, or another process was lost.
        SaveError: a checkpoint cannot be written; the previous one stays.
        ConfigError: an invalid option, or `out` holds a run with different settings.
        DataError: too few classes, patients or images for such episodes.
    """
    if not learner.trainable:
        raise TaskError(
            f"{called(learner)} is a baseline: it learns from the support alone and has "
            "nothing to meta-train. Use it directly: `medshot adapt` or `medshot evaluate`."
        )
    if others := options.keys() - set(TrainConfig.names()):
        raise unknown(min(others), TrainConfig.names(), kind="training option")
    config = TrainConfig(**options)
    device = choose_device(config.device)
    train_source, val_source = episode_sources(
        data,
        val,
        way=config.way,
        shot=config.shot,
        query=config.query,
        seed=config.seed,
        device=device,
        encoder=learner.encoder,
    )
    objective = MetaObjective(learner, terms)
    place(objective, device, config.channels_last)
    one_pass = choose_vmap(objective, config, device)
    gradient = Gradient(objective, workers=config.workers, one_pass=one_pass, bf16=config.bf16)
    about: dict[str, Any] = {
        "train": train_source.describe(),
        "val": val_source.describe(),
        "steps": config.steps,
        "settings": config.record() | {"terms": [term.describe() for term in terms]},
        "seen": seen(train_source) + seen(val_source) + list(getattr(learner.encoder, "seen", ())),
    }
    if (origin := getattr(learner.encoder, "origin", "untrained")) != "untrained":
        about["before"] = origin
    if cite := [*references(train_source), *objective.references()]:
        about["cite"] = cite
    with processes(device) as together:
        objective.check(together.share(config.meta_batch))

        def placed(i: int) -> Episode:
            episode = train_source.episode(i)
            learner.check(episode.task)
            return place_episode(episode, device, config.channels_last)

        def backward(step: int) -> float:
            learner.begin_step(step)
            numbers = together.indices(step, config.meta_batch)
            return gradient.backward(map(placed, numbers), len(numbers))

        def val_loss() -> float:
            numbers = together.part(config.val_episodes)
            total = together.sum(validate(learner, val_source, numbers, device))
            return total / config.val_episodes

        with together.in_turn():  # rank 0 creates the folder; a first checkpoint fixes the start
            run = open_run(learner, about, None if out is None else Path(out))
            torch.manual_seed(config.seed)
            trainer = Trainer(
                learner,
                backward,
                config.steps,
                config.rate,
                validate=val_loss,
                val_every=config.val_every,
                patience=config.patience,
                folder=run.folder,
                checkpoint_seconds=checkpoint_seconds,
                together=together,
                watch=watch,
                advice="Lower lr (and, for MAML, the inner lr), or switch bf16 off.",
            )
            if trainer.state.step == 0:
                trainer.save()
        together.alike(learner)
        return run.finish(trainer.fit())
