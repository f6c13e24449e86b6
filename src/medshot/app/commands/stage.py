"""The command of a stage, `medshot NAME MODEL --data IMAGES --out NEW`, derived from its class."""

import inspect
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import typer

from medshot import Stage
from medshot.app.parse import THREADS, new_folder, new_json

if TYPE_CHECKING:
    from medshot.core.predictor import Predictor

S = TypeVar("S", bound=Stage)
HELPS = {
    "model": "A folder that `medshot adapt`, or another stage, made.",
    "data": "Folder of labelled images to learn from.",
    "out": "New folder for the new model; MODEL stays as it is.",
    "test": "Folder of labelled images of other patients, to be judged on.",
}


class StageCommand(Generic[S]):
    """One run of a stage's command: read, run, judge, save, show.

    A subclass shows more than scores before and after, or reads something else.
    """

    result = "Model:   "  # what the line that names the new folder begins with
    refuses_shared = True  # images to be judged on that are learned from too

    def __init__(self, stage: type[S], models: list[Path], data: Path, test: Path | None) -> None:
        from medshot.core.predictor import load_predictor

        self.cls, self.data, self.test, self.began = stage, data, test, time.monotonic()
        self.models = {str(path): load_predictor(path) for path in models}

    def __call__(self, out: Path, json_file: Path | None, threads: int, **typed: Any) -> None:
        """Do all of it; where anything is refused or fails, no `out` is left."""
        from medshot.app.render import write_record
        from medshot.app.stage import judged_on
        from medshot.app.terminal import next_step, tell
        from medshot.core.atomic import unfinished
        from medshot.training.device import limit_threads

        self.stage = self.made(typed)
        self.stage.check(self.given)
        self.begin()
        with unfinished(out) as (staging, working), limit_threads(threads):
            self.shown = self.read(self.data)
            self.judged = self.read(self.test) if self.test else self.shown
            self.refuse()
            started = time.perf_counter()
            after = self.run(working)
            self.seconds = time.perf_counter() - started
            self.found = self.judge(after)
            after.save(staging)
            self.add(staging)
        self.did = after.known_card().stages[-1]
        self.where = judged_on(self.data, self.test)
        self.show()
        if json_file:
            write_record(json_file, self.record())
        tell(f"{self.result}{out}")
        next_step("predict", out, "NEW_IMAGES", "--out", answers_of(after), start="Next:    ")

    @property
    def given(self) -> Any:
        """The model, or all models, as the stage takes them."""
        models = list(self.models.values())
        return models if self.cls.several else models[0]

    def made(self, typed: Mapping[str, Any]) -> S:
        """The stage with the options that were typed."""
        from medshot.api.resolve import parse_options

        of_pairs = {each.name for each in self.cls.options() if each.type is dict}
        return self.cls(**{n: parse_options(v) if n in of_pairs else v for n, v in typed.items()})

    def begin(self) -> None:
        """Say what will be done, before anything is written. By default nothing."""

    def read(self, folder: Path) -> Any:
        """The images in `folder`, in the form of the model."""
        from medshot.data.load import images_for

        return images_for(self.given.known_card(), folder)

    def refuse(self) -> None:
        """Raise `DataError` if the images cannot be learned from, or judged on."""
        from medshot.data.load import refuse_shared

        if self.test and self.refuses_shared:
            refuse_shared(self.shown, self.judged)

    def run(self, working: Path) -> "Predictor":
        """Run the stage, with its checkpoints in `working`."""
        from medshot.training.progress import progress_bar

        watch = progress_bar(self.cls.name)
        return self.stage(self.given, self.shown, folder=working, watch=watch)

    def judge(self, after: "Predictor") -> Any:
        """How well the models before and the one after do on the images to be judged on."""
        return self.stage.compare(self.given, after, self.judged)

    def add(self, staging: Path) -> None:
        """Write further files beside the new model. By default none."""

    def show(self) -> None:
        """Print what was done and what it brought."""
        from medshot.app.stage import show_gains

        show_gains(self.found, self.where)

    def record(self) -> dict[str, Any]:
        """What `--json` writes."""
        about = {"seconds": self.seconds, "judged on": self.where}
        return {**self.did, **about, "scores": self.found.gains()}


def answers_of(predictor: "Predictor") -> str:
    """A name for the file or folder of answers, as `predict` writes them."""
    from medshot.presenters import kind_called

    return kind_called(predictor.known_card().kind).out


def command_of(
    stage: type[Stage], command: type[StageCommand[Any]] = StageCommand
) -> Callable[..., None]:
    """The function that Typer makes the command of: its signature is what the stage declares."""

    def run(**typed: Any) -> None:
        models = typed.pop("model")
        listed = models if stage.several else [models]
        command(stage, listed, typed.pop("data"), typed.pop("test"))(**typed)

    parameters = list(_parameters(stage))
    keyword = inspect.Parameter.KEYWORD_ONLY
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, keyword, default=d, annotation=t) for n, t, d in parameters]
    )
    run.__annotations__ = {name: annotation for name, annotation, _ in parameters}
    run.__name__, run.__doc__ = stage.name, inspect.getdoc(stage)
    return run


def _parameters(stage: type[Stage]) -> Any:
    """Name, annotation and default of each parameter of the command."""
    helps = {**HELPS, **stage.helps}
    yield "model", list[Path] if stage.several else Path, typer.Argument(help=helps["model"])
    yield "data", Path, typer.Option(help=helps["data"])
    yield "out", Path, new_folder(helps["out"])
    for each in stage.options():
        told: dict[str, Any] = {"help": each.help, "min": each.min, "max": each.max}
        if each.type is dict:
            told["metavar"] = "NAME=VALUE"
        if each.shown:
            told["show_default"] = each.shown
        default = [] if each.type is dict else each.default
        kind = list[str] if each.type is dict else each.type
        words = () if kind is bool else (each.word,)
        optional = kind | None if default is None else kind
        yield each.name, optional, typer.Option(default, *words, **told)
    yield "test", Path | None, typer.Option(None, help=helps["test"])
    yield "json_file", Path | None, new_json("New file for the numbers.")
    yield "threads", int, THREADS
