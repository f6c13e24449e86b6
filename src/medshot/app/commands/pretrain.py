"""`medshot pretrain`: an encoder that learns from images before any few-shot task."""

from dataclasses import asdict
from pathlib import Path

import typer

from medshot import PretrainConfig
from medshot.app.parse import THREADS, expand_configs, new_json, out_option


@expand_configs
def pretrain(
    data: list[Path] = typer.Option(help="Folders of labelled images, one or several."),
    out: Path = out_option("New folder for the encoder."),
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
    import medshot
    from medshot.app.terminal import announce, next_step, say, tell

    announce(f"reading {len(data)} folder(s)")
    learned = medshot.pretrain(
        encoder,
        data,
        objective,
        task=task,
        options=set_,
        out=out,
        record=json_file,
        threads=threads,
        watch=medshot.progress_bar("pretrain"),
        tell=say,
        **asdict(config),
    )
    say(f"{out}: {learned.origin}")
    if json_file:
        tell(f"Written: {json_file}")
    next_step("adapt", "MY_IMAGES", "--encoder", out, "--out", "MODEL")
