"""A run: a learner, how it was meta-trained, and the folder that remembers both.

    RUN/run.json                 the learner's recipe, data, settings, versions
    RUN/checkpoint.safetensors   weights, optimizer, random state, the best weights, history
    RUN/tensorboard/             scalars
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medshot.core.errors import ConfigError, SaveError
from medshot.core.files import write_text
from medshot.core.learner import Learner
from medshot.core.parts import make, recipe
from medshot.core.store import versions
from medshot.training.checkpoint import FILE, Checkpoint, read_best, read_history
from medshot.training.progress import Row, Watch


@dataclass
class Run:
    """What meta-training gives: the learner with its best weights, and the record."""

    learner: Learner
    about: dict[str, Any]
    folder: Path | None = None
    history: list[Row] = field(default_factory=list)

    @contextmanager
    def scalars(self, step: int) -> Iterator[Callable[[Row], None]]:
        """Write validations to TensorBoard, from `step` on."""
        if self.folder is None:
            yield lambda row: None
            return
        from torch.utils.tensorboard.writer import SummaryWriter  # noqa: PLC0415  (slow to import)

        writer = SummaryWriter(self.folder / "tensorboard", purge_step=step + 1)
        try:
            yield lambda row: [
                writer.add_scalar(name, value, int(row["step"]))
                for name, value in row.items()
                if name != "step"
            ].clear()
        finally:
            writer.close()

    def finish(self, learner: Learner, state: Checkpoint) -> "Run":
        """The run at its end: its learner has the best weights and says where they are from."""
        self.learner = learner
        self.learner.origin = _origin(self.about, state.step, state.best_step)
        return self


def open_run(learner: Learner, described: dict[str, Any], folder: Path | None, watch: Watch) -> Run:
    """A new run, or the one in `folder` to go on with.

    Raises:
        ConfigError: the folder holds a run with other settings.
        SaveError: the folder holds something else.
    """
    del watch
    if folder is None:
        return Run(learner, described)
    about = {"learner": recipe(learner), **described}
    file = folder / "run.json"
    if file.exists():
        before = _read_json(file)
        _refuse_other(before, json.loads(json.dumps(about)), folder)
        return Run(learner, before, folder, read_history(folder))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SaveError(f"{folder} exists already and is no run of medshot. Choose another --out.")
    about["versions"] = versions()
    write_text(file, json.dumps(about, indent=2) + "\n")
    return Run(learner, about, folder)


def load_run(folder: str | Path) -> Run:
    """The run in `folder`, its learner with the best weights so far, in eval mode.

    Raises:
        SaveError: there is no run, or a file is damaged.
    """
    folder = Path(folder)
    about = _read_json(folder / "run.json")
    learner: Learner = make(about["learner"])
    if not (folder / FILE).exists():
        raise SaveError(f"{folder} has no checkpoint yet: meta-training has only just begun there.")
    weights, meta = read_best(folder)
    learner.load_state_dict(weights)
    learner.origin = _origin(about, meta["step"], meta["best_step"])
    return Run(learner.eval(), about, folder, meta["history"])


def is_run(folder: str | Path) -> bool:
    """Whether `folder` holds a run."""
    return (Path(folder) / "run.json").is_file()


def _origin(about: dict[str, Any], step: int, best_step: int) -> str:
    source = about["train"]
    parts = source.get("mixture", [source])
    data = ", ".join(sorted({str(part.get("data", "?")) for part in parts}))
    return f"meta-trained on {data} for {step} steps, best on meta-validation at step {best_step}"


def _refuse_other(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    for part in ("learner", "train", "val", "settings"):
        if before.get(part) != now[part]:
            keys = [k for k in now[part] if before.get(part, {}).get(k) != now[part][k]]
            raise ConfigError(
                f"{folder} holds a run with another {part} ({', '.join(keys) or 'differs'}). Give "
                "the same options to go on with it, or choose another --out."
            )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SaveError(
            f"{path} cannot be read ({error}). A run is a folder that `medshot train` made."
        ) from error
