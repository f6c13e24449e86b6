"""The command of a stage, `medshot NAME MODEL --data IMAGES --out NEW`, derived from its class."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from medshot import Stage
from medshot.app.parse import THREADS, new_folder, new_json

HELPS = {
    "model": "A folder that `medshot adapt`, or another stage, made.",
    "data": "Folder of labelled images to learn from.",
    "out": "New folder for the new model; MODEL stays as it is.",
    "test": "Folder of labelled images of other patients, to be judged on.",
}


def command_of(stage: type[Stage]) -> Callable[..., None]:
    """The function that Typer makes the command of: its signature is what the stage declares."""

    def run(model: Any, data: Path, json_file: Path | None, **options: Any) -> None:
        import medshot
        from medshot.app.terminal import next_step, show_item, tell

        done = medshot.run_stage(
            stage, model, data, tell=show_item, watch=medshot.progress_bar, **options
        )
        if json_file:
            tell(f"Written: {done.save(json_file)}")
        tell(f"Model:   {options['out']}")
        words = ("predict", options["out"], "NEW_IMAGES", "--out", done.default_output)
        next_step(*words, start="Next:    ")

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
