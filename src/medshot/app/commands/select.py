"""`medshot select`: from labelled images to the learner that suits them, and its predictor."""

from pathlib import Path

import typer

from medshot.app.parse import THREADS, new_folder, new_json


def select(
    folder: Path = typer.Argument(help="Labelled images, as for `medshot adapt`."),
    out: Path = new_folder("New folder for the predictor and its report."),
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
    import time

    import torch

    from medshot.api.resolve import automatic, refuse_transductive, run_or_learner
    from medshot.api.select_learner import drawn, finished, record, select_learner
    from medshot.app.parse import seconds_of, typed
    from medshot.app.render import conclude, console, tell, write_record
    from medshot.app.stage import unfinished
    from medshot.data.load import load_one
    from medshot.data.readers.registry import kind_of
    from medshot.evaluation.report import write_report
    from medshot.presenters import kind_called
    from medshot.training.device import limited
    from medshot.training.progress import announce, bar_called, busy, watch_folds
    from medshot.training.run import is_run, load_run

    torch.manual_seed(0)  # untrained weights: the same folder gives the same predictor
    limit, kind, started = seconds_of(budget), kind_of(folder, task), time.monotonic()
    given = {name: run_or_learner(name, None, (), kind) for name in learner}
    for made in given.values():
        refuse_transductive(made)
    with unfinished(out) as (staging, working), limited(threads):
        with busy(f"reading {folder}"):
            like = automatic(kind=kind).encoder
            form = {name: getattr(like, name, None) for name in ("channels", "size")}
            dataset = load_one(folder, **form, task=kind)
        found = select_learner(
            dataset,
            budget=limit,
            trials=trials,
            learners=given,
            storage=storage,
            folder=working,
            seed=seed,
            watch=bar_called("select", unit="second" if trials is None else "candidate"),
        )
        announce("learning from all images, and judging")
        seen = {name: load_run(name).about["seen"] for name in learner if is_run(name)}
        predictor, report = finished(found, dataset, typed(), seen, watch_folds)
        predictor.save(staging)
        write_report(report, staging / "report.html")
        if json_file:
            noted = {"seconds": time.monotonic() - started, **record(found)}
            write_record(json_file, noted)
    if report.tried:
        console.print(drawn(report.tried))
        tell()
    conclude(report, out, kind_called(kind).out)
