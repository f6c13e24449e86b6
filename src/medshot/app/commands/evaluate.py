"""`medshot evaluate`: saved models on labelled images, or a learner over episodes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from medshot.app.parse import SKIP_BAD, TASK, THREADS, free, new_json

if TYPE_CHECKING:
    from medshot import Evaluation


def _listed(value: str | None) -> str | None:
    """`--protocol list` answers at once, whatever else is there or missing."""
    if value == "list":
        from medshot import list_protocols
        from medshot.app.terminal import say

        for known in list_protocols():
            say(known.source, start=f"{known.name:32}  ")
        raise typer.Exit
    return value


def evaluate(
    what: list[str] = typer.Argument(
        help="Folders of saved models; or folders of runs, or names from `medshot learners`."
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
    skip_bad: bool = SKIP_BAD,
    threads: int = THREADS,
) -> None:
    """Measure saved models on labelled images, or a learner over many episodes.

    Of **saved models** (folders that `medshot adapt` or a stage made) every image of --data gets an
    answer. Each metric has an interval over patients; of several models, the others are compared to
    the first, patient by patient. Images that one of them learned from are refused.

    **Learners**, by name or from runs, adapt to each of many small tasks, beside the linear
    probe on the same tasks; the others are compared with the first. The number of images, classes
    and episodes is the protocol's, or as given with --data. The baseline has the same encoder, and
    once more the raw pixels (for masks, filters around each). Data that a run has learned from are
    refused.

    Examples:

        medshot evaluate my_model --data other_patients/ --report other.html

        medshot evaluate my_model my_model_2 --data other_patients/

        medshot evaluate runs/proto --data my_images/ --shot 5 --json result.json

        medshot evaluate runs/proto --protocol medshot26/covid_ct/5s
    """
    import medshot
    from medshot.app.parse import typed
    from medshot.app.terminal import announce, show, tell

    numbers = {"way": way, "shot": shot, "query": query, "episodes": episodes}
    given = {name: number for name, number in numbers.items() if number is not None}
    models = all(map(_is_model, what))
    with medshot.limit_threads(threads):
        if models:
            learners = {**given, "protocol": protocol, "task": task, "encoder": encoder}
            folder = _only_folder(data, {**learners, "set": set_})
            announce(f"answering the images of {folder}")
            found = medshot.evaluate(
                *what,
                data=folder,
                skip_bad=skip_bad,
                watch=lambda name: medshot.progress_bar(name, unit="image"),
            )
            show_evaluation(found)
        else:
            _refuse_mixed(what, data, report)
            announce(f"reading {data[0] if data else protocol}")
            found = medshot.evaluate_episodes(
                *what,
                data=data[0] if data else None,
                protocol=protocol,
                task=task,
                encoder=encoder,
                options=set_,
                seed=seed,
                skip_bad=skip_bad,
                **given,
                watch=lambda name: medshot.progress_bar(name, unit="episode", stays=False),
            )
            show(found.table())
        if json_file:
            found.save(json_file)
            tell(f"Written: {json_file}")
        if report and isinstance(found, medshot.Evaluation):
            tell(f"Report: {found.report(typed()).save(report)}")


def show_evaluation(found: "Evaluation") -> None:
    """Warnings, scores, differences and the rates of each class, for a terminal."""
    from medshot.app.terminal import say, show

    for note in found.notes:
        say(note, start="  - ")
    show(found.table())
    for table in found.rates().values():
        show(table)
    for verdict in found.verdicts():
        say(verdict)


def _is_model(given: str) -> bool:
    """Whether a predictor was saved in the folder `given`."""
    return (Path(given) / "predictor.json").is_file()


def _only_folder(data: list[Path], learners: dict[str, Any]) -> Path:
    """The folder that saved models are evaluated on; refuses options that are for learners."""
    from medshot import ConfigError

    if unused := ", ".join(f"--{name}" for name, value in learners.items() if value):
        raise ConfigError(f"{unused}: for learners. A saved model is as it is: leave that out.")
    if len(data) != 1:
        raise ConfigError("Say on which labelled images: --data DIR, one folder.")
    return data[0]


def _refuse_mixed(what: list[str], data: list[Path], report: Path | None) -> None:
    """Refuse saved models beside learners, several folders, and a report on episodes."""
    from medshot import ConfigError

    if any(map(_is_model, what)):
        other = next(name for name in what if not _is_model(name))
        raise ConfigError(
            f"{other} is no saved model (a folder with predictor.json). Evaluate saved models with "
            "saved models, and learners or runs with each other."
        )
    if report:
        raise ConfigError("--report is for saved models: `medshot adapt` makes one. Leave it out.")
    if len(data) > 1:
        raise ConfigError("Give either --protocol NAME or --data DIR, one of them.")
