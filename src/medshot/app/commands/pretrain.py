"""`medshot pretrain`: an encoder that learns from images before any few-shot task."""

from dataclasses import asdict
from pathlib import Path

import typer

from medshot import PretrainConfig
from medshot.app.parse import THREADS, expand_configs, new_folder, new_json


@expand_configs
def pretrain(
    data: list[Path] = typer.Option(help="Folders of labelled images, one or several."),
    out: Path = new_folder("New folder for the encoder."),
    objective: str = typer.Option(
        "reconstruct", help="reconstruct, colourise, contrast or supervise."
    ),
    encoder: str = typer.Option("conv4", help="What learns: as in adapt."),
    set_: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="Of the objective; of the encoder as encoder.NAME."
    ),
    task: str | None = typer.Option(
        None, help="The kind of targets in the folders.", show_default="as labels.csv says"
    ),
    config: PretrainConfig = PretrainConfig(),
    json_file: Path | None = new_json("New file for losses, settings and seconds."),
    threads: int = THREADS,
) -> None:
    """Let an encoder learn from many images, so that few are enough later.

    **reconstruct** draws images from their features, half of each hidden (`--set mask=0`:
    nothing hidden). **colourise** predicts colour from grey. **contrast** tells two views of one
    image from other images, with `--set labels=true` classes too; `--set chunk=16` takes less
    memory. **supervise** learns the labels of all folders at once. Labels count for these two only.

    Killed at any moment, the same command goes on from the last checkpoint, in OUT.unfinished.

    Examples:

        medshot pretrain --data skin/ brain/ --objective contrast --out encoders/simclr

        medshot adapt my_images/ --encoder encoders/simclr --out my_model
    """
    import time

    import torch

    from medshot.app.render import write_record
    from medshot.app.terminal import next_step, say
    from medshot.app.training_data import objective_options, pretraining_data
    from medshot.core.atomic import unfinished
    from medshot.core.predictor import versions
    from medshot.core.registry import recipe
    from medshot.factory.encoders import chosen_encoder
    from medshot.pretraining import pretrain as learn
    from medshot.pretraining import save_encoder
    from medshot.training.device import limit_threads
    from medshot.training.progress import progress_bar

    kind, options, of_encoder = objective_options(objective, set_)
    torch.manual_seed(config.seed)
    begun = chosen_encoder(encoder, of_encoder, {})
    with unfinished(out) as (staging, working), limit_threads(threads):
        sets = pretraining_data(data, task, begun, kind)
        started = time.monotonic()
        learned = learn(
            begun,
            sets,
            objective,
            folder=working,
            watch=progress_bar("pretrain"),
            **asdict(config),
            **options,
        )
        seconds = round(time.monotonic() - started, 1)
        save_encoder(learned, staging)
    say(f"{out}: {learned.origin}")
    if json_file:
        record = {"encoder": recipe(learned), **learned.about, "seconds": seconds}
        write_record(json_file, record | {"versions": versions()})
    next_step("adapt", "MY_IMAGES", "--encoder", out, "--out", "MODEL")
