"""Run a stage from folders to a saved predictor, with scores before and after; and export."""

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from medshot.api.resolve import parse_options
from medshot.core import Predictor, Result, Table, Tabular, load_predictor, unknown
from medshot.core.atomic import unfinished
from medshot.data.load import images_for, refuse_shared
from medshot.evaluation.statistics import INTERVALS
from medshot.stages.base import STAGES, Stage
from medshot.stages.export.monai_bundle import export_bundle
from medshot.stages.export.onnx_file import export_onnx, script_beside
from medshot.stages.finetune.stage import FineTune
from medshot.training.device import limit_threads
from medshot.training.progress import Watch, quiet

S = TypeVar("S", bound=Stage)
Tell = Callable[[str | Table], None]
RUNS = {  # stages that show more than scores before and after
    "compress": "medshot.api.compress:CompressRun",
    "finetune": "medshot.api.stage_runs:FineTuneRun",
    "fuse": "medshot.api.fuse:FuseRun",
    "harden": "medshot.api.harden:HardenRun",
}


class StageRun(Result, Generic[S]):
    """One run of a stage: read, run, compare, save, show.

    Afterwards `predictor` is the new one, `scores` the comparison with the given ones, and `shown`
    the sentences and tables. A subclass shows more, or reads something else.
    """

    refuses_shared = True  # whether training images among the test images are refused

    def __init__(
        self,
        stage: type[S],
        models: Sequence[str | Path],
        data: str | Path,
        test: str | Path | None,
        *,
        tell: Tell = lambda said: None,
        watch: Callable[[str], Watch] = lambda what: quiet,
    ) -> None:
        self.cls, self.watch, self.began = stage, watch, time.monotonic()
        self.data, self.test = Path(data), None if test is None else Path(test)
        self.models = {str(path): load_predictor(path) for path in models}
        self.shown: list[str | Table] = []
        self._tell = tell

    def execute(self, out: Path | None, threads: int | None, **options: Any) -> "StageRun[S]":
        """Do all of it; where anything is refused or fails, no `out` is left."""
        self.stage = self.configure(options)
        self.stage.check(self.given)
        self.begin()
        few = nullcontext() if threads is None else limit_threads(threads)
        place = nullcontext((None, None)) if out is None else unfinished(out)
        with place as (staging, working), few:
            self.train_images = self.read(self.data)
            self.test_images = self.read(self.test) if self.test else self.train_images
            self.refuse()
            started = time.perf_counter()
            self.predictor = self.run(working)
            self.seconds = time.perf_counter() - started
            self.scores = self.compare()
            if staging is not None:
                self.predictor.save(staging)
                self.add_files(staging)
        self.show()
        return self

    def tell(self, said: str | Table) -> None:
        """Show a sentence or a table, and keep it in `shown`."""
        self.shown.append(said)
        self._tell(said)

    @property
    def given(self) -> Any:
        """The model, or all models, as the stage takes them."""
        models = list(self.models.values())
        return models if self.cls.several else models[0]

    @property
    def where(self) -> str:
        """The images that the scores are of."""
        return str(self.test) if self.test else f"{self.data}, which it learned from: this flatters"

    @property
    def noted(self) -> Mapping[str, Any]:
        """What the card of the new predictor says of this stage."""
        return self.predictor.known_card().stages[-1]

    def configure(self, options: Mapping[str, Any]) -> S:
        """The stage with its options; pairs may be given as `NAME=VALUE`."""
        pairs = {each.name for each in self.cls.options() if each.type is dict}
        return self.cls(
            **{
                name: parse_options(value) if name in pairs and isinstance(value, list) else value
                for name, value in options.items()
            }
        )

    def begin(self) -> None:
        """Tell what will be done, before anything is written. By default nothing."""

    def read(self, folder: Path) -> Any:
        """The images in `folder`, in the form of the model."""
        return images_for(self.given.known_card(), folder)

    def refuse(self) -> None:
        """Raise `DataError` for images that cannot be learned from or evaluated on."""
        if self.test and self.refuses_shared:
            refuse_shared(self.train_images, self.test_images)

    def run(self, working: Path | None) -> Predictor:
        """Run the stage, with its checkpoints in `working`."""
        return self.stage(
            self.given, self.train_images, folder=working, watch=self.watch(self.cls.name)
        )

    def compare(self) -> Any:
        """Scores of the models before and the one after on the test images."""
        return self.stage.compare(self.given, self.predictor, self.test_images)

    def add_files(self, staging: Path) -> None:
        """Write further files beside the new model. By default none."""

    def show(self) -> None:
        """Tell what was done and what it gained."""
        self.show_scores(self.scores, self.where)

    def show_scores(self, scores: Any, where: str) -> None:
        """Tell scores, differences and whether these exceed chance."""
        self.tell(replace(scores.table(), caption=f"on {where}, {INTERVALS}"))
        for verdict in scores.verdicts():
            self.tell(verdict)

    def table(self) -> Table:
        """The first table that was shown: scores before and after."""
        return next(each for each in self.shown if isinstance(each, Table))

    def to_json(self) -> dict[str, Any]:
        """What the card notes, and the scores."""
        about = {"seconds": self.seconds, "judged on": self.where}
        return {**self.noted, **about, "scores": self.scores.gains()}


class FineTuneRun(StageRun[FineTune]):
    """Fine-tuning, with the method and the number of weights that moved."""

    refuses_shared = False  # scores on the training images are of interest, too

    def begin(self) -> None:
        """Tell which method was taken, where none was named."""
        if self.stage.what is None:
            self.tell(f"What moves: {self.stage.method(self.given).name}.")

    def show(self) -> None:
        """Tell how much moved, and the scores."""
        moved, steps = self.noted["parameters"], self.noted["steps"]
        self.tell(f"{moved} weights moved for {steps} steps, {self.seconds:.0f} s.")
        super().show()


def run_stage(
    stage: str | type[Stage],
    models: str | Path | Sequence[str | Path],
    data: str | Path,
    *,
    out: str | Path | None = None,
    test: str | Path | None = None,
    threads: int | None = 1,
    tell: Tell = lambda said: None,
    watch: Callable[[str], Watch] = lambda what: quiet,
    **options: Any,
) -> StageRun[Any]:
    """Run a stage on a saved model (`fuse`: on several) and a folder, and compare before and after.

    The new model is saved to the new folder `out`, with checkpoints in OUT.unfinished, from which
    the same call resumes. `test` is a folder of labeled images of other patients for the scores.
    `options` are those of the stage. `tell` is given each sentence and table at once, `watch`
    shows the progress of what it is called with.

    Raises:
        ConfigError: an unknown stage or option, or a value out of bounds.
        DataError: images or labels that do not fit the model.
        LeakError: training images among the test images, where the stage refuses them.
        SaveError: `out` exists or cannot be written.
    """
    cls = STAGES.find(stage) if isinstance(stage, str) else stage
    module, _, name = RUNS.get(cls.name, "medshot.api.stage_runs:StageRun").partition(":")
    kind: type[StageRun[Any]] = getattr(importlib.import_module(module), name)
    paths = [models] if isinstance(models, str | Path) else list(models)
    run = kind(cls, paths, data, test, tell=tell, watch=watch)
    return run.execute(None if out is None else Path(out), threads, **options)


FORMATS = {"bundle": export_bundle, "onnx": export_onnx}


@dataclass(frozen=True)
class Exported(Tabular):
    """The file or folder that was written, and the script that runs it (None for a bundle)."""

    path: Path
    format: str
    task: str
    script: Path | None

    @property
    def megabytes(self) -> float:
        """Size on disk, in 10^6 bytes."""
        inside = [self.path] if self.path.is_file() else self.path.rglob("*")
        return sum(file.stat().st_size for file in inside if file.is_file()) / 1e6

    def table(self) -> Table:
        """A line: path, size and task."""
        return Table(f"{self.path}: {self.megabytes:.2f} MB, {self.task}")


def export(model: Predictor | str | Path, out: str | Path, format: str = "onnx") -> Exported:
    """Write a predictor, or one that was saved in a folder, as an ONNX file or a MONAI bundle.

    A script beside an ONNX file runs it without medshot, where it predicts for whole images.

    Raises:
        ConfigError: an unknown format, or a package that it needs is not installed.
        SaveError: `out` exists or cannot be written, or the predictor has no card.
        TaskError: the predictor does what no graph holds.
    """
    if format not in FORMATS:
        raise unknown(format, FORMATS, kind="format")
    predictor = model if isinstance(model, Predictor) else load_predictor(model)
    path, card = Path(out), predictor.known_card()
    FORMATS[format](predictor, path)
    script = script_beside(path, card) if format == "onnx" else None
    return Exported(path, format, card.kind, script)
