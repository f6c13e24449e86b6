"""`medshot finetune`: from a model and images to a model whose weights have moved."""

from pathlib import Path

import typer

from medshot.app.parse import THREADS, new_folder, new_json


def finetune(
    model: Path = typer.Argument(help="A folder that `medshot adapt`, or another stage, made."),
    data: Path = typer.Option(help="Labelled images, as for `medshot adapt`."),
    out: Path = new_folder("New folder for the fine-tuned model."),
    what: str | None = typer.Option(
        None,
        help="head, bias, film, lora, adapter or all.",
        show_default="lora; head, where nothing else can move",
    ),
    test: Path | None = typer.Option(None, help="Images to judge it on, of other patients."),
    unseen: bool = typer.Option(
        False, help="MODEL never saw DATA: the number of steps is judged on images left out."
    ),
    steps: int = typer.Option(50, help="Steps of descent; with --unseen, at most."),
    lr: float = typer.Option(1e-3, help="Rate of Adam."),
    pull: float = typer.Option(1.0, help="How strong the weights are pulled to where they were."),
    batch: int = typer.Option(32, help="Images a step."),
    set_: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="Option of the way: rank and alpha of lora."
    ),
    json_file: Path | None = new_json("New file for the numbers."),
    threads: int = THREADS,
) -> None:
    """Move some of a model's weights to do images better; save it beside the original.

    Where MODEL learned from DATA, nothing tells how many steps are good, and all are made:
    `medshot adapt --finetune` judges that on images left out. Killed, the same command goes on.

    Examples:

        medshot finetune my_model --data my_images/ --what lora --out my_model_lora

        medshot finetune my_model --data new_scanner/ --unseen --test others/ --out new_model
    """
    import time

    from medshot.api.resolve import parse_options
    from medshot.app.render import write_record
    from medshot.app.stage import judged_on, show_gains
    from medshot.app.terminal import say, tell
    from medshot.core.atomic import unfinished
    from medshot.core.predictor import load_predictor
    from medshot.data.load import images_for
    from medshot.evaluation.comparison import compared
    from medshot.stages.finetune import default_method, get_method
    from medshot.stages.finetune import finetune as finetuned
    from medshot.training.device import limit_threads
    from medshot.training.progress import progress_bar

    before = load_predictor(model)
    way = get_method(what or default_method(before), **parse_options(set_))
    if what is None:
        say(f"What moves: {way.name}.")
    with unfinished(out) as (staging, working), limit_threads(threads):
        shown = images_for(before.known_card(), data)
        asked = images_for(before.known_card(), test) if test else shown
        started = time.perf_counter()
        after = finetuned(
            before,
            shown.examples(),
            way,
            steps=steps,
            lr=lr,
            pull=pull,
            batch=batch,
            unseen=unseen,
            folder=working,
            watch=progress_bar("finetune"),
        )
        seconds = time.perf_counter() - started
        found = compared({"before": before, "fine-tuned": after}, asked)
        after.save(staging)
    did = after.known_card().stages[-1]
    say(f"{did['parameters']} weights moved for {did['steps']} steps, {seconds:.0f} s.")
    where = judged_on(data, test)
    show_gains(found, where)
    if json_file:
        record = {**did, "seconds": seconds, "judged on": where, "scores": found.gains()}
        write_record(json_file, record)
    tell(f"Model:   {out}")
