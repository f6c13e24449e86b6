"""Meta-training and pretraining from names and folders: `medshot.train`, `medshot.pretrain`."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from medshot.api.resolve import OF, named_learner, parse_options
from medshot.core import ConfigError, Learner, recipe, unknown, versions, write_json
from medshot.core.atomic import unfinished
from medshot.data.checks.skip import skipping_bad
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.data.readers.registry import kind_of
from medshot.factory import checked, chosen_encoder
from medshot.nn.encoder import Encoder
from medshot.nn.encoder import encoder as build_encoder
from medshot.presenters import kind_called
from medshot.pretraining import objectives, save_encoder
from medshot.pretraining.objective import Objective
from medshot.pretraining.pretrain import pretrain as pretrain_encoder
from medshot.stages.robustness.harden import AdversarialQuerying
from medshot.stages.robustness.threat_model import read_epsilon
from medshot.training.config import PretrainConfig, TrainConfig, document_options
from medshot.training.device import limit_threads
from medshot.training.objective import AuxiliaryLoss, SelfDistillation, TaskContrast
from medshot.training.progress import Watch, quiet
from medshot.training.run import Run, load_run, steps_done
from medshot.training.sources import Given
from medshot.training.train import train as meta_train
from medshot.training.trainer import SECONDS

PHANTOMS = Path("phantoms")
CLASSES = 12  # that are named of a data set

Folders = str | Path | Sequence[str] | Sequence[Path]


def _nothing(what: str) -> None:
    del what


@document_options(TrainConfig)
def train(
    learner: Learner | str,
    data: Given | Folders,
    *,
    val: Given | None = None,
    out: str | Path | None = None,
    task: str | None = None,
    encoder: str | None = None,
    options: Sequence[str] = (),
    terms: Sequence[AuxiliaryLoss] = (),
    contrast: float | None = None,
    teacher: str | Path | None = None,
    adversarial: float | str | None = None,
    checkpoint_seconds: float = SECONDS,
    skip_bad: bool = False,
    threads: int | None = None,
    watch: Watch = quiet,
    tell: Callable[[str], None] = _nothing,
    **config: Any,
) -> Run:
    """Meta-train a learner and return the run, whose `learner` has the best weights found.

    `learner` is a learner, or a name of `list_learners()` that is built on `encoder` with `options`
    as the command line takes them. `data` are data sets, a source of episodes, folders, or
    "phantoms", which are drawn; `task` is the kind of task of folders. Where `val` is not given, a
    fifth of the classes (if there are at least 5 x way) or else of the patients is held out for
    validation. With `out`, the run is kept there, and the same call resumes it.

    Each step takes `meta_batch` episodes of one data set each. Adam (Kingma & Ba 2015,
    arXiv:1412.6980), its rate halved every `halve_every` steps; early stopping by the query loss
    over `val_episodes` fixed episodes. `terms` are added to the meta-loss; `contrast` is the weight
    of a contrast between tasks, `teacher` the run of a teacher for self-distillation, `adversarial`
    the epsilon of attacks on the query. `threads` an operation (None: as PyTorch is set). `tell` is
    called with what is read (with `skip_bad`, without files that cannot be used) and whether the
    run is resumed.

    Raises:
        TaskError: the learner is a baseline, with nothing to meta-train.
        TrainingError: the loss is no longer finite, or another process was lost.
        SaveError: a checkpoint cannot be written; the one before stays.
        ConfigError: an option that cannot be, or `out` holds a run with other settings.
        DataError: too few classes, patients or images for such episodes.
    """
    settings = _settings(TrainConfig, config, "training option")
    folders = _folders(data)
    if isinstance(learner, str):
        kinds = {kind_of(folder, task) for folder in folders or ()} or {_kind(data)}
        torch.manual_seed(settings.seed)
        learner = named_learner(learner, encoder or encoder_for(kinds), options)
    if folders is not None:
        with skipping_bad(skip_bad):
            data, held_out = training_data(folders, task, learner, settings, tell)
        val = held_out if val is None else val
    if out is not None and (done := steps_done(Path(out))) is not None:
        ended = done >= settings.steps
        tell(f"{out}: already done." if ended else f"{out}: going on from step {done}.")
    extra = list(terms)
    extra += [] if contrast is None else [TaskContrast(contrast)]
    extra += [] if teacher is None else [SelfDistillation(load_run(teacher).learner)]
    if adversarial:
        epsilon = read_epsilon(adversarial) if isinstance(adversarial, str) else adversarial
        extra.append(AdversarialQuerying(epsilon))
    with nullcontext() if threads is None else limit_threads(threads):
        return meta_train(
            learner,
            data,  # type: ignore[arg-type]  (folders were read)
            val=val,
            out=out,
            terms=extra,
            checkpoint_seconds=checkpoint_seconds,
            watch=watch,
            **config,
        )


@document_options(PretrainConfig, others=True)
def pretrain(
    encoder: Encoder | str,
    data: Dataset | Sequence[Dataset] | Folders,
    objective: str = "reconstruct",
    *,
    task: str | None = None,
    options: Sequence[str] = (),
    out: str | Path | None = None,
    folder: Path | None = None,
    record: str | Path | None = None,
    threads: int | None = None,
    watch: Watch = quiet,
    tell: Callable[[str], None] = _nothing,
    **config: Any,
) -> Encoder:
    """Train a copy of an encoder on images, before any few-shot task; the encoder given stays.

    `encoder` is an encoder, or what `--encoder` takes. `data` are data sets or folders. `objective`
    is reconstruct, colourise, contrast or supervise; its own options are further keywords, or text
    in `options` as `--set` takes it (`encoder.NAME=VALUE` for the encoder). A tenth of the images
    of each set, whole patients, is held out: the result has the weights with the least loss on it.
    The encoder is saved to the new folder `out`, with checkpoints in OUT.unfinished, or in
    `folder`, from which the same call resumes; losses, settings and seconds to the file `record`.

    Raises:
        ConfigError: an unknown objective or option, or a value out of bounds.
        DataError: a data set that cannot teach this.
        TaskError: a task, or volumes, that the objective does not do.
        TrainingError: the loss is no longer finite.
        SaveError: `out` exists or cannot be written.
    """
    own = {name: config[name] for name in PretrainConfig.names() if name in config}
    settings = PretrainConfig(**own)
    kind, of_objective, of_encoder = objective_options(objective, options)
    if isinstance(encoder, str):
        torch.manual_seed(settings.seed)
        encoder = chosen_encoder(encoder, of_encoder, {})
    few = nullcontext() if threads is None else limit_threads(threads)
    place = nullcontext((None, folder)) if out is None else unfinished(Path(out))
    with place as (staging, working), few:
        folders = _folders(data)
        if folders is not None:
            data = pretraining_data(folders, task, encoder, kind, tell)
        started = time.monotonic()
        learned = pretrain_encoder(
            encoder,
            data,  # type: ignore[arg-type]  (folders were read)
            objective,
            folder=working,
            watch=watch,
            **config,
            **of_objective,
        )
        seconds = round(time.monotonic() - started, 1)
        if staging is not None:
            save_encoder(learned, staging)
    if record is not None:
        about = {"encoder": recipe(learned), **learned.about, "seconds": seconds}
        write_json(Path(record), about | {"versions": versions()})
    return learned


def encoder_for(kinds: Iterable[str]) -> str:
    """The default encoder of tasks of these kinds: for several, the one with a grid of features."""
    known = sorted({kind_called(kind).encoder for kind in kinds})
    if len(known) == 1:
        return known[0]
    grid = [name for name in known if build_encoder(name).keeps_grid]
    if len(grid) == 1:
        return grid[0]
    raise ConfigError(
        f"The folders hold kinds of tasks that share no encoder ({', '.join(known)}): name one "
        "with --encoder, or train on one kind."
    )


def training_data(
    folders: Sequence[Path],
    task: str | None,
    learner: Learner,
    config: TrainConfig,
    tell: Callable[[str], None] = _nothing,
) -> tuple[Given, Given | None]:
    """Training data, and validation data where these are not a part of them."""
    form: dict[str, Any] = {n: getattr(learner.encoder, n) for n in ("channels", "size")}
    if list(folders) == [PHANTOMS] and not PHANTOMS.exists():
        tell("Phantoms are drawn: endless tasks to learn from, and others for validation.")
        kind = kind_called(kind_of(PHANTOMS, task))
        shape = (config.way, config.shot, config.query)
        first, second = (kind.phantoms(*shape, seed=config.seed + i, **form) for i in (0, 1))
        return first, second
    sets = [load_one(folder, **form, task=kind_of(folder, task)) for folder in folders]
    for dataset in sets:
        counts = ", ".join(f"{label} {n}" for label, n in list(dataset.counts().items())[:CLASSES])
        more = ", ..." if len(dataset.labels) > CLASSES else ""
        tell(f"{dataset.name}: {len(dataset)} images ({counts}{more})")
        for note in dataset.notes:
            tell(f"    {note}")
    tell("A fifth of the classes, or of the patients (or images), is held out for validation.")
    return (sets[0] if len(sets) == 1 else sets), None


def objective_options(
    name: str, given: Sequence[str]
) -> tuple[type[Objective], dict[str, Any], dict[str, Any]]:
    """The objective called `name`, its options, and those of the encoder."""
    table, options = objectives(), parse_options(given)
    if name not in table:
        raise unknown(name, table, kind="objective")
    of_encoder = {k.removeprefix(OF): v for k, v in options.items() if k.startswith(OF)}
    own = {k: v for k, v in options.items() if not k.startswith(OF)}
    return table[name], checked(own, table[name], f"option of {name!r}"), of_encoder


def pretraining_data(
    folders: Sequence[Path],
    task: str | None,
    encoder: Encoder,
    kind: type[Objective],
    tell: Callable[[str], None] = _nothing,
) -> list[Dataset]:
    """The images in each folder, in the form that the objective needs."""
    form: dict[str, Any] = {
        "channels": 3 if kind.colour else encoder.channels,
        "size": encoder.size,
    }
    sets = [load_one(folder, **form, task=kind_of(folder, task)) for folder in folders]
    for dataset in sets:
        left_out = "" if dataset in kind.usable(sets) else ", left out: they cannot teach this"
        tell(f"{dataset.name}: {len(dataset)} images{left_out}")
    return sets


def _folders(data: object) -> list[Path] | None:
    """Folders by their paths; None for data that are loaded already."""
    if isinstance(data, str | Path):
        return [Path(data)]
    if isinstance(data, list | tuple) and all(isinstance(each, str | Path) for each in data):
        return [Path(each) for each in data]
    return None


def _kind(data: object) -> str:
    """The kind of task of data that are loaded already."""
    first = data[0] if isinstance(data, list | tuple) else data
    if not isinstance(first, Dataset):
        raise ConfigError("Name folders or data sets, or build the learner: medshot.build(...).")
    return first.kind


def _settings(cls: type[TrainConfig], given: dict[str, Any], kind: str) -> TrainConfig:
    if others := given.keys() - set(cls.names()):
        raise unknown(min(others), cls.names(), kind=kind)
    return cls(**given)
