"""Data of `medshot train` and `medshot pretrain`: folders, or phantoms."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from medshot import TrainConfig
from medshot.api.resolve import OF, parse_options
from medshot.app.terminal import busy, say
from medshot.core.errors import ConfigError, unknown
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.data.readers.registry import kind_of
from medshot.factory.options import checked
from medshot.nn.encoder import Encoder
from medshot.nn.encoder import encoder as build_encoder
from medshot.presenters import kind_called
from medshot.pretraining import objectives
from medshot.pretraining.objective import Objective
from medshot.training.sources import Given

PHANTOMS = Path("phantoms")


def encoder_for(kinds: Iterable[str]) -> str:
    """What tasks of such kinds are learned on, if no encoder is named: for all, one of the grid."""
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
    data: Sequence[Path],
    task: str | None,
    learner: Learner,
    config: TrainConfig,
) -> tuple[Given, Given | None]:
    """What to learn from, and what to validate on where it is not a part of that; says which."""
    form: dict[str, Any] = {n: getattr(learner.encoder, n) for n in ("channels", "size")}
    if list(data) == [PHANTOMS] and not PHANTOMS.exists():
        say("Phantoms are drawn: endless tasks to learn from, and others for validation.")
        kind = kind_called(kind_of(PHANTOMS, task))
        shape = (config.way, config.shot, config.query)
        taught, judged = (kind.phantoms(*shape, seed=config.seed + i, **form) for i in (0, 1))
        return taught, judged
    with busy(f"reading {len(data)} folder(s)"):
        sets = [load_one(folder, **form, task=kind_of(folder, task)) for folder in data]
    _say_what_is_there(sets)
    say("A fifth of the classes, or of the patients (or images), is held out for validation.")
    return (sets[0] if len(sets) == 1 else sets), None


def _say_what_is_there(sets: list[Dataset]) -> None:
    for dataset in sets:
        counts = ", ".join(f"{label} {n}" for label, n in list(dataset.counts().items())[:12])
        more = ", ..." if len(dataset.labels) > 12 else ""
        say(f"{dataset.name}: {len(dataset)} images ({counts}{more})")
        for note in dataset.notes:
            say(note, start="    ")


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
    folders: Sequence[Path], task: str | None, encoder: Encoder, kind: type[Objective]
) -> list[Dataset]:
    """The images in each folder, and a line on each."""
    form: dict[str, Any] = {
        "channels": 3 if kind.colour else encoder.channels,
        "size": encoder.size,
    }
    with busy(f"reading {len(folders)} folder(s)"):
        sets = [load_one(folder, **form, task=kind_of(folder, task)) for folder in folders]
    for dataset in sets:
        left_out = "" if dataset in kind.usable(sets) else ", left out: they cannot teach this"
        say(f"{dataset.name}: {len(dataset)} images{left_out}")
    return sets
