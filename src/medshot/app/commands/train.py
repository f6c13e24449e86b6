"""`medshot train`: meta-train a learner."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from medshot import TrainConfig
from medshot.app.parse import THREADS, expand_configs, free_or_run

if TYPE_CHECKING:
    from medshot.training.auxiliary_losses import AuxiliaryLoss


@expand_configs
def train(
    learner: str = typer.Argument(help="A name from `medshot learners`."),
    data: list[Path] = typer.Option(
        help="Folders of labelled images, one or several; or phantoms, which are drawn."
    ),
    out: Path = typer.Option(
        help="Folder of the run; if it holds this run already, it goes on.", callback=free_or_run
    ),
    task: str | None = typer.Option(
        None,
        help="classification, detection, enhancement, multi-label, ordinal, regression, "
        "segmentation.",
        show_default="as labels.csv says",
    ),
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
    threads: int = THREADS,
) -> None:
    """Meta-train a learner on many small tasks drawn from labelled folders.

    Killed at any moment, the same command goes on from the last checkpoint. Watch it with
    `tensorboard --logdir OUT`.

    Examples:

        medshot train prototypical --data skin/ brain/ --out runs/proto --way 4

        medshot train maml --data skin/ --out runs/maml --set encoder.width=32 --set lr=0.05

        medshot train prototypical --data phantoms --task segmentation --out runs/phantoms
    """
    import torch

    from medshot.api.resolve import named_learner
    from medshot.app.terminal import next_step, say
    from medshot.app.training_data import encoder_for, training_data
    from medshot.data.readers.registry import kind_of
    from medshot.training.device import limit_threads
    from medshot.training.progress import bar
    from medshot.training.run import steps_done
    from medshot.training.train import train as meta_train

    torch.manual_seed(config.seed)
    kinds = {kind_of(folder, task) for folder in data}
    made = named_learner(learner, encoder or encoder_for(kinds), set_)
    taught, judged = training_data(data, task, made, config)
    if (done := steps_done(out)) is not None:
        ended = done >= config.steps
        say(f"{out}: already done." if ended else f"{out}: going on from step {done}.")
    with limit_threads(threads):
        run = meta_train(
            made,
            taught,
            val=judged,
            out=out,
            terms=_terms(contrast, teacher, adversarial),
            watch=bar,
            **asdict(config),
        )
    say(f"{out}: {run.learner.origin}")
    next_step("adapt", "MY_IMAGES", "--learner", out, "--out", "MODEL")


def _terms(
    contrast: float | None, teacher: Path | None, adversarial: str | None
) -> "list[AuxiliaryLoss]":
    from medshot.stages.robustness.adversarial_querying import AdversarialQuerying
    from medshot.stages.robustness.threat_model import read_epsilon
    from medshot.training.auxiliary_losses import SelfDistillation, TaskContrast
    from medshot.training.run import load_run

    terms: list[AuxiliaryLoss] = [] if contrast is None else [TaskContrast(contrast)]
    terms += [] if teacher is None else [SelfDistillation(load_run(teacher).learner)]
    return terms + ([AdversarialQuerying(read_epsilon(adversarial))] if adversarial else [])
