"""`medshot attack`: how well a model does under attack, and on corrupted images."""

import time
from pathlib import Path
from typing import Any

import typer

from medshot.app.parse import THREADS, free, new_json


def attack(
    model: Path = typer.Argument(help="A folder that `medshot adapt` or a stage made."),
    data: Path = typer.Option(help="Folder of labelled images that it has not learned from."),
    epsilon: list[str] = typer.Option(
        [],
        help="How far values may be changed, of [0, 1]; to be repeated.",
        show_default="1/255, 2/255, 4/255, 8/255; in L2 0.25, 0.5, 1, 2",
    ),
    norm: str = typer.Option("linf", help="linf (each value) or l2 (all values together)."),
    steps: int = typer.Option(10, help="Steps of PGD."),
    queries: int = typer.Option(200, help="Queries of the attack without gradients."),
    corruptions: bool = typer.Option(False, help="Noise, blur, light, ... in five severities too."),
    seed: int = typer.Option(0, min=0, help="Decides random starts, squares and corruptions."),
    plot: Path | None = typer.Option(
        None, metavar="FILE", help="New SVG file: score by epsilon.", callback=free
    ),
    json_file: Path | None = new_json("New file for the numbers."),
    threads: int = THREADS,
) -> None:
    """Measure a model on attacked images; nothing is changed.

    At each epsilon with FGSM and PGD; at the largest also with PGD of four times the steps and with
    the square attack, which needs no gradient: if those show that the first were weak, it says so.
    A model that has no gradient, as one in int8, meets the square attack alone.

    Examples:

        medshot attack my_model --data other_patients/ --epsilon 4/255 --plot robust.svg

        medshot attack my_model --data other_patients/ --norm l2 --corruptions
    """
    from medshot import load_predictor, robustness
    from medshot.app.render import show_attacks, show_corruptions, tell_of_masking, write_record
    from medshot.app.terminal import say, tell
    from medshot.core.atomic import write_text
    from medshot.data.load import images_for
    from medshot.stages.robustness.attacks import FGSM, PGD, Square
    from medshot.stages.robustness.curve import curve, points_of
    from medshot.stages.robustness.evaluate import signs
    from medshot.training.device import limit_threads
    from medshot.training.progress import progress_bar

    started = time.monotonic()
    predictor = load_predictor(model)
    card = predictor.known_card()
    images = images_for(card, data)
    if card.data.get("hash") == images.hash:
        say(f"The model has learned from {data}: what it scores there flatters it.")
    numbers: dict[str, Any] = {"steps": steps, "queries": queries, "seed": seed}
    with limit_threads(threads):
        asked = {"epsilon": epsilon, "norm": norm, "corruptions": corruptions}
        found = robustness(predictor, images, **asked, **numbers, watch=progress_bar)
        show_attacks({model.name: found}, str(data))
        tell_of_masking(found)
        record: dict[str, Any] = {"model": str(model), "data": images.about(), **numbers}
        record |= {**found.to_json(), "signs": signs(found)}
        if found.corrupted:
            show_corruptions(found.clean, found.corrupted, str(data))
    if plot:
        kinds = [kind for kind in (FGSM, PGD) if found.by(kind)] or [Square]
        lines = {kind.name.upper(): points_of(found, kind) for kind in kinds}
        write_text(plot, curve(lines, found.clean.task.leading, model.name))
        tell(f"Written: {plot}")
    if json_file:
        record["seconds"] = time.monotonic() - started
        write_record(json_file, record)
