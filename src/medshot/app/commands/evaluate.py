"""`medshot evaluate`: saved models on labelled images, or a learner over episodes."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from medshot.app.parse import TASK, THREADS, free, new_json

if TYPE_CHECKING:
    from medshot.evaluation.evaluate import Evaluation


def _listed(value: str | None) -> str | None:
    """`--protocol list` answers at once, whatever else is there or missing."""
    if value == "list":
        from medshot.app.render import say
        from medshot.evaluation.protocols import protocols

        for known in protocols().values():
            say(known.source, start=f"{known.name:32}  ")
        raise typer.Exit
    return value


def evaluate(
    what: list[str] = typer.Argument(
        help="Folders of saved models; or a run's folder, or a name from `medshot learners`."
    ),
    protocol: str | None = typer.Option(
        None, help="A named protocol; `list` lists them.", callback=_listed, is_eager=True
    ),
    data: list[Path] = typer.Option([], help="A folder of labelled images."),
    task: str | None = TASK,
    json_file: Path | None = new_json("New file for the result."),
    report: Path | None = typer.Option(
        None, metavar="FILE", help="Of saved models: new HTML file for a report.", callback=free
    ),
    encoder: str | None = typer.Option(
        None, help="As in adapt.", show_default="mobilenet, for masks and boxes unet"
    ),
    set_: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="As in train."),
    way: int | None = typer.Option(
        None, help="With --data: classes an episode.", show_default="all"
    ),
    shot: int | None = typer.Option(
        None, help="With --data: support images a class (masks: in all).", show_default="5"
    ),
    query: int | None = typer.Option(
        None, help="With --data: query images a class (masks: in all).", show_default="10"
    ),
    episodes: int | None = typer.Option(
        None, min=1, help="With --data: how many episodes.", show_default="600"
    ),
    seed: int = typer.Option(0, help="Decides untrained weights and, with --data, the episodes."),
    threads: int = THREADS,
) -> None:
    """Measure saved models on labelled images, or a learner over many episodes.

    Of **saved models** (folders that `medshot adapt` or a stage made) every image of --data gets an
    answer. Each metric has an interval over patients; of several models, the others are compared to
    the first, patient by patient. Images that one of them learned from are refused.

    **A learner**, by name or from a run, adapts to each of many small tasks, beside the linear
    probe on the same tasks. The number of images, classes and episodes is the protocol's, or as
    given with --data. The baseline has the same encoder, and once more the raw pixels (for masks,
    filters around each). Data that a run has learned from are refused.

    Examples:

        medshot evaluate my_model --data other_patients/ --report other.html

        medshot evaluate my_model my_model_2 --data other_patients/

        medshot evaluate runs/proto --data my_images/ --shot 5 --json result.json

        medshot evaluate runs/proto --protocol medshot26/covid_ct/5s
    """
    import torch

    from medshot.api.evaluate import form_of, measured, planned
    from medshot.api.resolve import run_or_learner
    from medshot.app.render import console, results_table, write_record
    from medshot.app.render_evaluation import is_model
    from medshot.training.device import limited
    from medshot.training.progress import plain

    numbers = {"way": way, "shot": shot, "query": query, "episodes": episodes}
    given = {name: number for name, number in numbers.items() if number is not None}
    if all(map(is_model, what)):
        unused = {**given, "protocol": protocol, "task": task, "encoder": encoder, "set": set_}
        found = _of_models(what, data, [name for name, value in unused.items() if value], threads)
        _shown(found, json_file, report)
        return
    learner = _one(what, report)
    kind = _kind(protocol, data, task, given)
    torch.manual_seed(seed)
    made = run_or_learner(learner, encoder, set_, kind, **form_of(protocol))
    plan = planned(protocol, data, task=kind, seed=seed, **given)
    with limited(threads):
        results, record = measured(plan, learner, made)
    fingerprint = next(iter(results.values())).episodes["fingerprint"]
    title = f"{plan.name}: {plan.episodes} episodes (hash {fingerprint}), mean ± 95 % interval"
    console.print(results_table(results, plain(title)))
    if json_file:
        write_record(json_file, record)


def _of_models(
    models: list[str], data: list[Path], unused: list[str], threads: int
) -> "Evaluation":
    """The answers of saved models; refuses options that are for learners."""
    from medshot import evaluate as evaluated
    from medshot.core.errors import ConfigError
    from medshot.training.device import limited
    from medshot.training.progress import announce, bar_called

    if unused:
        names = ", ".join(f"--{name}" for name in unused)
        raise ConfigError(f"{names}: for learners. A saved model is as it is: leave that out.")
    if len(data) != 1:
        raise ConfigError("Say on which labelled images: --data DIR, one folder.")
    announce(f"answering the images of {data[0]}")
    with limited(threads):
        return evaluated(*models, data=data[0], watch=lambda name: bar_called(name, unit="image"))


def _shown(found: "Evaluation", json_file: Path | None, report: Path | None) -> None:
    """The numbers for people, for programs, and as a page."""
    from medshot.app.parse import typed
    from medshot.app.render import tell, write_record
    from medshot.app.render_evaluation import report_of, show_evaluation
    from medshot.evaluation.report import write_report

    show_evaluation(found)
    if json_file:
        write_record(json_file, found.to_json())
    if report:
        write_report(report_of(found, typed()), report)
        tell(f"Report: {report}")


def _one(given: list[str], report: Path | None) -> str:
    """The learner or run that is measured by itself."""
    from medshot.app.render_evaluation import is_model
    from medshot.core.errors import ConfigError

    if len(given) > 1:
        other = next(name for name in given if not is_model(name))
        raise ConfigError(
            f"{other} is no saved model (a folder with predictor.json). Several models are "
            "compared with each other; a learner or a run is named alone."
        )
    if report:
        raise ConfigError("--report is for saved models: `medshot adapt` makes one. Leave it out.")
    return given[0]


def _kind(protocol: str | None, data: list[Path], task: str | None, given: dict[str, int]) -> str:
    """The kind of task; refuses options that would silently not be used, and mislead."""
    from medshot.core.errors import ConfigError
    from medshot.data.readers.registry import USUAL, kind_of
    from medshot.presenters import kind_called

    if bool(protocol) == bool(data) or len(data) > 1:
        raise ConfigError("Give either --protocol NAME or --data DIR, one of them.")
    fixed = [f"--{name}" for name in (*given, *(["task"] if task else []))]
    if protocol and fixed:
        raise ConfigError(
            f"The protocol {protocol} fixes its numbers: leave {', '.join(fixed)} out."
        )
    kind = kind_of(data[0], task) if data else USUAL
    if "way" in given and not kind_called(kind).ways:
        raise ConfigError("--way is for labels: episodes of other targets have all of them.")
    return kind
