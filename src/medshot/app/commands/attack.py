"""`medshot attack`: how well a model does under attack, and on corrupted images."""

from pathlib import Path

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
    import medshot
    from medshot.app.terminal import say, show, tell

    with medshot.limit_threads(threads):
        found = medshot.robustness(
            model,
            data,
            epsilon=epsilon,
            norm=norm,
            corruptions=corruptions,
            steps=steps,
            queries=queries,
            seed=seed,
            watch=medshot.progress_bar,
        )
    for note in found.notes:
        say(note)
    show(found.table())
    say(found.verdict)
    for sign in found.signs:
        say(sign, start="  - ")
    if table := found.corruption_table():
        show(table)
    if plot:
        tell(f"Written: {found.plot(plot)}")
    if json_file:
        tell(f"Written: {found.save(json_file)}")
