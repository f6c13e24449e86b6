"""Run: a learner, how it was meta-trained, and the folder that stores both.

RUN/run.json                 the learner's recipe, data, settings, versions
RUN/checkpoint.safetensors   weights, optimizer, random state, the best weights, history
RUN/tensorboard/             scalars
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medshot.core import (
    ConfigError,
    Learner,
    SaveError,
    Table,
    Tabular,
    called,
    make,
    recipe,
    versions,
)
from medshot.core.atomic import write_text
from medshot.core.plugins import remembered, remembering
from medshot.training.checkpoint import FILE, Checkpoint, read_best
from medshot.training.progress import Row

ABOUT = "run.json"
COMPARED = ("learner", "train", "val", "settings")  # `seen` repeats `train` and `val`

SHOWN = 5  # number of validations that a run prints


@dataclass
class Run(Tabular):
    """Result of meta-training: the learner with its best weights, and the record."""

    learner: Learner
    about: dict[str, Any]
    folder: Path | None = None
    history: list[Row] = field(default_factory=list)
    state: Checkpoint | None = None

    @property
    def unfinished(self) -> str:
        """A sentence, where the run ended before its steps were done; else ""."""
        planned = self.about.get("steps", 0)
        if not self.state or self.state.step >= planned:
            return ""
        if self.state.exhausted(self.about["settings"].get("patience")):
            return ""
        which = f"those of step {self.state.best_step}, the best on meta-validation"
        which = which if self.state.history else "the last ones, which no validation has seen"
        return (
            f"Meta-training ended early, after {self.state.step} of {planned} steps; its weights "
            f"are {which}."
        )

    def table(self) -> Table:
        """Learner, encoder, training data and the last validations."""
        columns = tuple(dict.fromkeys(name for row in self.history for name in row))
        rows = [tuple(_cell(row.get(name)) for name in columns) for row in self.history[-SHOWN:]]
        what = f"{called(self.learner)} on {called(self.learner.encoder)}, {self.learner.origin}"
        return Table(
            what if self.folder is None else f"{self.folder}: {what}", columns, tuple(rows)
        )

    def finish(self, state: Checkpoint) -> "Run":
        """The run with its history; the learner, with its best weights, in eval mode."""
        self.learner.eval().origin = _origin(self.about, state)
        self.history, self.state = state.history, state
        return self


def _cell(value: int | float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def open_run(learner: Learner, described: dict[str, Any], folder: Path | None) -> Run:
    """Create a run, or open the one in `folder` to resume it.

    Raises:
        ConfigError: the folder holds a run with different settings.
        SaveError: the folder holds something else, or cannot be written.
    """
    if folder is None:
        return Run(learner, described)
    about = {"learner": recipe(learner), **described}
    file = folder / ABOUT
    try:
        if file.exists():
            before = _read_about(file)
            _refuse_other(before, json.loads(json.dumps(about)), folder)
            for temporary in _left_over(folder):
                temporary.unlink()
            if before.get("steps") != about.get("steps"):
                before["steps"] = about.get("steps")
                write_text(file, json.dumps(before, indent=2) + "\n")
            return Run(learner, before, folder)
        if folder.exists() and set(folder.iterdir()) - set(_left_over(folder)):
            raise SaveError(
                f"{folder} exists already and is not a medshot run. Choose another --out."
            )
    except OSError as error:
        raise SaveError(
            f"{folder} cannot hold a run ({error.strerror}). Choose another --out."
        ) from error
    about["versions"] = versions()
    about |= remembered()
    write_text(file, json.dumps(about, indent=2) + "\n")
    return Run(learner, about, folder)


def load_run(folder: str | Path) -> Run:
    """Load the run in `folder`, its learner with the best weights so far, in eval mode.

    Raises:
        SaveError: there is no run, or a file is damaged.
    """
    folder = Path(folder)
    about = _read_about(folder / ABOUT)
    if not (folder / FILE).exists():
        raise SaveError(f"{folder} has no checkpoint yet: meta-training has just started there.")
    state = read_best(folder)
    try:
        with remembering(about, folder / ABOUT):
            learner: Learner = make(about["learner"])
        state.restore_best(learner)
        return Run(learner, about, folder).finish(state)
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise SaveError(
            f"{folder} is damaged: the weights in {FILE} do not fit the learner in {ABOUT} "
            f"({error}). Restore a copy of both."
        ) from error


def is_run(folder: str | Path) -> bool:
    """Whether `folder` holds a run."""
    return (Path(folder) / ABOUT).is_file()


def steps_done(folder: Path) -> int | None:
    """Completed steps of the run in `folder`; None where there is no checkpoint."""
    return read_best(folder).step if (folder / FILE).exists() else None


def _origin(about: dict[str, Any], state: Checkpoint) -> str:
    data = ", ".join(sorted({str(name) for name in _data(about["train"])})) or "?"
    before = about.get("before", "untrained")
    best = (
        f"best on meta-validation at step {state.best_step}" if state.history else "not validated"
    )
    return (
        f"meta-trained on {data} for {state.step} steps, {best}"
        f"{'' if before == 'untrained' else f', its encoder before: {before}'}"
    )


def _data(source: dict[str, Any]) -> Iterator[str]:
    """Names of the data sets that a source draws from."""
    for part in source.get("mixture") or source.get("in_turn") or []:
        yield from _data(part)
    yield from [source["data"]] if "data" in source else []


def _left_over(folder: Path) -> list[Path]:
    """Temporary files of a run that was killed while writing."""
    return [file for name in (ABOUT, FILE) for file in folder.glob(f".{name}.????????")]


def _refuse_other(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    old = dict(_leaves({part: before[part] for part in COMPARED}))
    new = dict(_leaves({part: now[part] for part in COMPARED}))
    names = [name for name in old | new if old.get(name) != new.get(name)]
    if names:
        listed = ", ".join(f"{n} was {old.get(n)} and is {new.get(n)}" for n in names[:4])
        more = f" (and {len(names) - 4} more)" if len(names) > 4 else ""
        raise ConfigError(
            f"{folder} holds another run: {listed}{more}. Give the same options to resume it, "
            "or choose another --out."
        )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The values in nested dictionaries and lists, each with its path: `settings.lr`."""
    if not isinstance(value, dict | list):
        yield name, value
        return
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield from _leaves(inner, f"{name}.{key}" if name else str(key))


def _read_about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        missing = [part for part in COMPARED if part not in about]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
    except (OSError, ValueError, TypeError) as error:
        raise SaveError(
            f"{path} cannot be read ({error}). A run is a folder that `medshot train` made; if "
            "this file of it is damaged, restore a copy, or start again in another folder."
        ) from error
    return about
