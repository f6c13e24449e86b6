"""The command of a stage, `medshot NAME MODEL --data IMAGES --out NEW`, derived from its class."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

from medshot import Stage
from medshot.app.parse import THREADS, new_json, option_parameter, out_option

HELPS = {
    "model": "A folder that `medshot adapt`, or another stage, made.",
    "data": "Folder of labelled images to learn from.",
    "out": "New folder for the new model; MODEL stays as it is.",
    "test": "Folder of labelled images of other patients, to evaluate on.",
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
        words = ("predict", options["out"], "NEW_IMAGES", "--out", done.predictor.default_output)
        next_step(*words, start="Next:    ")

    shown = list(_parameters(stage))
    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in shown}
    run.__name__, run.__doc__ = stage.name, inspect.getdoc(stage)
    return run


def _parameters(stage: type[Stage]) -> Iterator[inspect.Parameter]:
    """The shared parameters of a stage's command, with the declared options among them."""
    helps = {**HELPS, **stage.helps}
    model = list[Path] if stage.several else Path
    yield _parameter("model", model, typer.Argument(help=helps["model"]))
    yield _parameter("data", Path, typer.Option(help=helps["data"]))
    yield _parameter("out", Path, out_option(helps["out"]))
    yield from map(option_parameter, stage.options())
    yield _parameter("test", Path | None, typer.Option(None, help=helps["test"]))
    yield _parameter("json_file", Path | None, new_json("New file for the numbers."))
    yield _parameter("threads", int, THREADS)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=default, annotation=annotation)
