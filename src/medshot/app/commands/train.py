"""`medshot train`: meta-train a learner."""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import typer

from medshot import TrainConfig
from medshot.app.parse import SKIP_BAD, TASK, THREADS, expand_configs, free_or_run


@expand_configs
def train(
    learner: str = typer.Argument(help="A name from `medshot learners`."),
    data: list[Path] = typer.Option(
        help="Folders of labelled images, one or several; or phantoms, which are drawn."
    ),
    out: Path = typer.Option(
        help="Folder of the run; if it holds this run already, it goes on.", callback=free_or_run
    ),
    task: str | None = TASK,
    encoder: str | None = typer.Option(
        None, help="The encoder: as in adapt.", show_default="mobilenet, for masks and boxes unet"
    ),
    set_: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="Of the learner; of its encoder as encoder.NAME."
    ),
    config: TrainConfig = TrainConfig(),
    contrast: float | None = typer.Option(
        None, help="Weight of a contrast between tasks, beside the learner's own loss (say, 0.1)."
    ),
    teacher: Path | None = typer.Option(
        None, help="A run whose answers it learns from too: self-distillation."
    ),
    adversarial: str | None = typer.Option(
        None,
        metavar="EPSILON",
        help="Attack the query within this, say 8/255 (of [0, 1]).",
    ),
    skip_bad: bool = SKIP_BAD,
    threads: int = THREADS,
) -> None:
    """Meta-train a learner on many small tasks drawn from labelled folders.

    Killed at any moment, the same command goes on from the last checkpoint; `adapt --learner OUT`
    takes its best weights so far. Ctrl-C ends it after the step. Watch it with
    `tensorboard --logdir OUT`.

    Examples:

        medshot train prototypical --data skin/ brain/ --out runs/proto --way 4

        medshot train maml --data skin/ --out runs/maml --set encoder.width=32 --set lr=0.05

        medshot train prototypical --data phantoms --task segmentation --out runs/phantoms
    """
    import medshot
    from medshot.app.terminal import announce, next_step, say, warn

    announce(f"reading {len(data)} folder(s)")
    try:
        run = medshot.train(
            learner,
            data,
            out=out,
            task=task,
            encoder=encoder,
            options=set_,
            contrast=contrast,
            teacher=teacher,
            adversarial=adversarial,
            skip_bad=skip_bad,
            threads=threads,
            watch=medshot.progress_bar("meta-train"),
            tell=say,
            **asdict(config),
        )
    except (KeyboardInterrupt, SystemExit):
        with suppress(medshot.SaveError):
            warn(f"{out}: {medshot.load_run(out).learner.origin}. The same command goes on.")
            next_step("adapt", "MY_IMAGES", "--learner", out, "--out", "MODEL")
        raise
    say(f"{out}: {run.learner.origin}")
    next_step("adapt", "MY_IMAGES", "--learner", out, "--out", "MODEL")
