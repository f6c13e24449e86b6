"""`medshot fuse`: one model out of several, beside the best of them."""

from pathlib import Path

import typer

from medshot.app.parse import THREADS, new_folder, new_json


def fuse(
    model: list[Path] = typer.Argument(help="Folders that `medshot adapt` made, two or more."),
    data: Path = typer.Option(help="Labelled images that none of the models has learned from."),
    out: Path = new_folder("New folder for the fused model."),
    how: str = typer.Option(
        "weighted", help="mean, weighted, stack, soup, greedy-soup; snapshots (of one model)."
    ),
    test: Path | None = typer.Option(None, help="Other labelled images, to judge it on."),
    cycles: int | None = typer.Option(None, help="Of snapshots.", show_default="4"),
    steps: int | None = typer.Option(None, help="A cycle of snapshots.", show_default="100"),
    lr: float | None = typer.Option(
        None, help="At the beginning of each cycle.", show_default="0.001"
    ),
    json_file: Path | None = new_json("New file for the numbers."),
    threads: int = THREADS,
) -> None:
    """Fuse models that answer the same question; they themselves stay as they are.

    `weighted` averages probabilities with weights that are fitted to --data, `stack` fits a linear
    map, `mean` and `soup` fit nothing; `soup` averages the weights of models that descend from the
    same network. Images that a model has learned from are refused where something is fitted.

    `snapshots` takes one model, fine-tunes it on --data in cycles, and averages what it was at the
    end of each. It goes on if it is cut short.

    Without --test the fused model is judged on --data, what is fitted out of fold, patient by
    patient. For a folder that a model learned from the table says that this flatters.

    Examples:

        medshot fuse model_a model_b --data held_out/ --out both

        medshot fuse model_a --how snapshots --data my_images/ --test others/ --out steadier
    """
    import time

    from medshot.api.fuse import Fusing, judgement, made
    from medshot.app.render import write_record
    from medshot.app.stage import show_gains
    from medshot.app.terminal import say, tell
    from medshot.core.atomic import unfinished
    from medshot.core.predictor import load_predictor
    from medshot.training.device import limit_threads
    from medshot.training.progress import progress_bar

    began = time.monotonic()
    given = {"cycles": cycles, "steps": steps, "lr": lr}
    fusing = Fusing(
        {str(path): load_predictor(path) for path in model},
        how,
        {name: value for name, value in given.items() if value is not None},
    )
    with limit_threads(threads), unfinished(out) as (staging, working):
        shown = fusing.images(data)
        judged_on = fusing.images(test) if test else shown
        fused = made(fusing, shown, working, progress_bar("fuse"))
        found = judgement(fusing, fused, shown, judged_on)
        fused.save(staging)
    show_gains(found.scores, found.where)
    for warning in found.warnings:
        say(warning, start="  - ")
    tell(f"Fused: {out}")
    if json_file:
        stage = fused.known_card().stages[-1]
        record = {**stage, "models": list(map(str, model)), "on": found.where}
        about = {"scores": found.scores.gains(), "seconds": round(time.monotonic() - began, 1)}
        write_record(json_file, {**record, **about})
