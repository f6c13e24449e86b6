"""`medshot adapt`: from a folder of a few labelled images to a predictor and a report."""

import shlex
import sys
from pathlib import Path

import typer


def adapt(
    folder: Path = typer.Argument(help="One sub-folder a class, or labels.csv with path,label."),
    out: Path = typer.Option(help="New folder for the predictor and its report."),
    learner: str = typer.Option("auto", help="auto, a name from `medshot learners`, or a run."),
    encoder: str = typer.Option("conv4", help="The encoder, for a learner by name."),
    set_: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="An option, as in train."),
) -> None:
    """Learn from a few labelled images; save a predictor and a report on how well it does.

    `auto` tries three simple learners on two encoders and keeps what predicts your own images
    best, patient by patient. A run of `medshot train` brings what it learnt from other data.

    Example: medshot adapt my_images/ --learner runs/proto --out my_model
    """
    from medshot.app.choose import automatic, run_or_learner
    from medshot.app.report import adaptation_report
    from medshot.app.show import busy, console
    from medshot.core.files import refuse_taken
    from medshot.core.learner import Learner
    from medshot.data.load import load_one
    from medshot.evaluation.report import write_report
    from medshot.evaluation.report import summary_sentence

    refuse_taken(out)
    made: Learner = automatic() if learner == "auto" else run_or_learner(learner, encoder, set_)
    form = {name: getattr(made.encoder, name, None) for name in ("channels", "size")}
    with busy(f"reading {folder}"):
        dataset = load_one(folder, **form)
    with busy("adapting, and judging it on patients left out"):
        command = shlex.join(["medshot", *sys.argv[1:]])
        predictor, report = adaptation_report(made, dataset, command)
    predictor.save(out)
    write_report(report, out / "report.html")
    console.print(summary_sentence(report), highlight=False, markup=False)
    for warning in report.warnings:
        console.print(f"  - {warning}", highlight=False, markup=False)
    console.print(f"Predictor: {out}    Report: {out / 'report.html'}", highlight=False)
