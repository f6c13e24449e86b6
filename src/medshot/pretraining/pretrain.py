"""`medshot.pretrain`: pretrain an encoder on images."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from medshot.core import TaskError, options_of, recipe, unknown
from medshot.data.dataset import Dataset
from medshot.nn.encoder import Encoder
from medshot.pretraining.batches import BatchSource, held_out
from medshot.pretraining.objective import Objective, objectives
from medshot.training.config import PretrainConfig, document_options
from medshot.training.device import choose_device
from medshot.training.progress import Row, Watch, quiet
from medshot.training.trainer import descend

WHAT = "encoder was pretrained"  # in the message when it is evaluated on the same data


@document_options(PretrainConfig, others=True)
def pretrain(
    encoder: Encoder,
    data: Dataset | Sequence[Dataset],
    objective: str = "reconstruct",
    *,
    folder: Path | None = None,
    watch: Watch = quiet,
    **options: Any,
) -> Encoder:
    """Pretrain a copy of `encoder` on one or several data sets; `encoder` is not changed.

    `objective` is reconstruct, colourise, contrast or supervise, and `options` are the keyword
    arguments of its class. Each step takes `batch` images of one data set; the sets take turns. A
    tenth of the images of each, by patient, is held out for validation every `judge_every` steps;
    the best weights are the result, and training stops after `patience` validations without
    improvement. With `folder`, checkpoints and TensorBoard scalars are written there, and an
    existing checkpoint is resumed.

    Raises:
        ConfigError: an unknown objective or option, or an invalid value.
        DataError: a data set that does not fit the objective.
        TaskError: a task, or volumes, that the objective does not support.
        TrainingError: the loss is no longer finite.
    """
    own = {name: options.pop(name) for name in PretrainConfig.names() if name in options}
    kind, config = _known(objective, options), PretrainConfig(**own)
    torch.manual_seed(config.seed)
    learned = copy.deepcopy(encoder).requires_grad_(True)
    sets = kind.usable(_in_form(data, encoder, kind))
    module = kind(learned, sets, **options)  # type: ignore[call-arg]  (each has its own)
    halves = [held_out(dataset, config.seed) for dataset in sets]
    place = choose_device(config.device)
    taught, held = [first for first, _ in halves], [second for _, second in halves]
    batches = BatchSource(module.to(place), taught, held, config.batch, config.seed, place)
    settings = {"objective": objective, "options": _options(kind, options), **config.record()}
    settings["before"] = encoder.origin
    begun = {"encoder": recipe(encoder), "data": [dataset.hash for dataset in sets]}
    history = descend(
        module,
        batches.loss,
        steps=config.steps,
        lr=config.lr,
        validate=batches.val_loss,
        val_every=config.judge_every,
        patience=config.patience,
        folder=folder,
        settings=settings | begun,
        watch=watch,
    )
    learned.to("cpu").eval()
    learned.about = _about(encoder, sets, settings, history)
    return learned


def _known(name: str, options: dict[str, Any]) -> type[Objective]:
    table = objectives()
    if name not in table:
        raise unknown(name, table, kind="objective")
    known = _options(table[name], {})
    for option in options:
        if option not in known:
            both = [*known, *PretrainConfig.names()]
            raise unknown(option, both, kind=f"option of the objective {name!r}")
    return table[name]


def _options(kind: type[Objective], given: dict[str, Any]) -> dict[str, Any]:
    """All options of an objective: the defaults, updated with `given`."""
    keywords = [p for p in options_of(kind).values() if p.kind is p.KEYWORD_ONLY]
    return {p.name: p.default for p in keywords} | given


def _in_form(
    data: Dataset | Sequence[Dataset], encoder: Encoder, kind: type[Objective]
) -> list[Dataset]:
    """The data sets with the channels and size that the encoder takes."""
    given = [data] if isinstance(data, Dataset) else list(data)
    size = encoder.size
    volumes = [dataset.name for dataset in given if dataset.preprocessing.dims != 2]
    if size is None or volumes:
        what = ", ".join(volumes) or "what this encoder takes"
        raise TaskError(f"Encoders of images are pretrained, not those of volumes: {what}.")
    return [dataset.at(3 if kind.colour else encoder.channels, size) for dataset in given]


def _about(
    before: Encoder, sets: Sequence[Dataset], settings: dict[str, Any], history: list[Row]
) -> dict[str, Any]:
    """Provenance of a pretrained encoder, for its card and for those of predictors that use it."""
    names = ", ".join(dataset.name for dataset in sets)
    best = min(history, key=lambda row: row["val_loss"])["step"] if history else 0
    earlier = "" if before.origin == "untrained" else f", after: {before.origin}"
    origin = f"pretrained ({settings['objective']}) on {names}, best at step {best}{earlier}"
    seen = [{"what": WHAT, "hash": d.hash, "classes": list(d.labels)} for d in sets]
    return {
        "origin": origin,
        "seen": [*before.seen, *seen],
        "settings": settings,
        "data": [dataset.about() | {"count": len(dataset)} for dataset in sets],
        "history": history,
    }
