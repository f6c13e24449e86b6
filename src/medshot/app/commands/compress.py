"""`medshot compress`: from a model to one that is smaller and faster."""

from pathlib import Path

import typer

from medshot.app.parse import THREADS, new_folder, new_json


def compress(
    model: Path = typer.Argument(help="A folder that `medshot adapt`, or another stage, made."),
    data: Path = typer.Option(help="Images to learn from; they need no labels if there is --test."),
    out: Path = new_folder("New folder for the smaller model; MODEL stays as it is."),
    prune: float | None = typer.Option(None, help="Share of the channels to remove, 0.5 say."),
    distil: str | None = typer.Option(
        None, help="small, tiny, or an encoder by name: a smaller network learns its answers."
    ),
    quantise: str | None = typer.Option(
        None, help="int8: convolutions in 8-bit numbers; a model that no gradient goes through."
    ),
    set_: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="With an encoder by name: encoder.width=16."
    ),
    steps: int | None = typer.Option(
        None, min=0, help="Steps of learning, of each.", show_default="prune 300, distil 1000"
    ),
    lr: float = typer.Option(1e-3, help="Rate of Adam."),
    seed: int = typer.Option(0, help="Decides the untrained weights of --distil."),
    test: Path | None = typer.Option(None, help="Labelled images of other patients to judge on."),
    json_file: Path | None = new_json("New file for the numbers."),
    threads: int = THREADS,
) -> None:
    """Make a model smaller and faster; say how much, and what it costs in score.

    With several of --distil, --prune and --quantise, each is also done alone, for the table, and
    what is saved is the chain: distilled, then pruned, then quantised. Killed at any moment, the
    same command goes on. Without --test it is judged on what it learned from, which flatters.

    Examples:

        medshot compress my_model --data my_images/ --prune 0.5 --out pruned --test others/

        medshot compress my_model --data my_images/ --prune 0.5 --quantise int8 --out small
    """
    import time
    from functools import partial
    from typing import Any

    import torch

    from medshot.app.compress_chain import (
        gather_scalars,
        in_steps,
        pictures,
        show_compressed,
        wanted_steps,
    )
    from medshot.app.render import write_record
    from medshot.app.stage import judged_on
    from medshot.app.terminal import tell
    from medshot.core.atomic import unfinished
    from medshot.core.errors import DataError
    from medshot.core.predictor import load_predictor
    from medshot.data.dataset import Dataset
    from medshot.data.load import images_for
    from medshot.evaluation.comparison import compared
    from medshot.stages.compress.cost import costs
    from medshot.training.device import limit_threads

    started = time.monotonic()
    torch.manual_seed(seed)
    original = load_predictor(model)
    card = original.known_card()
    wanted = wanted_steps(
        original, prune=prune, distil=distil, quantise=quantise, given=set_, seed=seed
    )
    with unfinished(out) as (staging, working), limit_threads(threads):
        images = pictures(card, data)
        asked = images_for(card, test) if test else images
        if not isinstance(asked, Dataset):
            raise DataError(f"{data} has no labels, so nothing can be judged on it: give --test.")
        options = {"lr": lr} | ({} if steps is None else {"steps": steps})
        ready = {name: partial(step, images, options) for name, step in wanted.items()}
        found = in_steps(original, ready, working)
        *_, last = found.values()
        scores, known = compared(found, asked), costs(found)
        last.save(staging)
        gather_scalars(working)
    where = judged_on(data, test)
    show_compressed(known, scores, where)
    if json_file:
        about: dict[str, Any] = {"model": str(model), "data": str(data), "judged on": where}
        about |= {"stages": last.known_card().stages, "scores": scores.gains()}
        about |= {"costs": {name: vars(cost) for name, cost in known.items()}}
        about["seconds"] = time.monotonic() - started
        write_record(json_file, about)
    tell(f"Model:   {out}")
