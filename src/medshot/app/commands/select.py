"""`medshot select`: from labelled images to the learner that suits them, and its predictor."""

from pathlib import Path

import typer

from medshot.app.parse import SKIP_BAD, THREADS, new_json, out_option

ROWS = 8  # candidates on the terminal; all are in the report


def select(
    folder: Path = typer.Argument(help="Labelled images, as for `medshot adapt`."),
    out: Path = out_option("New folder for the predictor and its report."),
    budget: str = typer.Option("10m", help="Time to search for: 90s, 10m, 2h."),
    trials: int | None = typer.Option(
        None, help="End after so many candidates, if there is time: the same seed, the same choice."
    ),
    learner: list[str] = typer.Option(
        [], help="Try this too: a run of `medshot train`, or a name. Several times, if need be."
    ),
    task: str | None = typer.Option(
        None, help="As for `medshot adapt`.", show_default="as labels.csv says"
    ),
    storage: str | None = typer.Option(
        None,
        help="For several workers: a database's address, or a journal file.",
        show_default="OUT.unfinished/study.db",
    ),
    seed: int = typer.Option(0, help="Decides what is drawn after the known candidates."),
    json_file: Path | None = new_json("New file for the numbers."),
    skip_bad: bool = SKIP_BAD,
    threads: int = THREADS,
) -> None:
    """Search for the learner, encoder and settings that predict your images best; learn with them.

    First comes a simple baseline, then what won on other data, then what Optuna proposes, each
    judged patient by patient. If nothing is better than the baseline, it is kept, and said. The
    budget is for the search; learning and the report come after it. Killed, the same command goes
    on. Needs `pip install "medshot[select]"`.

    Examples:

        medshot select my_images/ --budget 10m --out my_model

        medshot select my_images/ --learner runs/proto --learner runs/maml --out my_model
    """
    import medshot
    from medshot.app.parse import seconds_of, typed
    from medshot.app.terminal import announce, conclude, show, tell

    units = {"select": "second" if trials is None else "candidate"}
    limit = seconds_of(budget)
    announce(f"reading {folder}, searching, and adapting")
    found = medshot.select(
        folder,
        budget=limit,
        trials=trials,
        learners=learner,
        task=task,
        storage=storage,
        seed=seed,
        skip_bad=skip_bad,
        out=out,
        command=typed(),
        threads=threads,
        watch=lambda what: medshot.progress_bar(what, unit=units.get(what, "fold")),
    )
    if found.tried:
        show(found.tried, rows=ROWS)
        tell()
    conclude(found, out)
    if json_file:
        medshot.write_json(json_file, found.to_json())
        tell(f"Written: {json_file}")
