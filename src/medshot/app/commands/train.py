"""`medshot train`: meta-train a learner."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from medshot.app.parse import TASK, THREADS, free_or_run

if TYPE_CHECKING:
    from medshot.training.auxiliary_losses import AuxiliaryLoss


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
    way: int = typer.Option(5, help="Classes an episode (a set with fewer gives all it has)."),
    shot: int = typer.Option(5, help="Support images a class (with masks, in all)."),
    query: int = typer.Option(5, help="Query images a class (with masks, in all)."),
    steps: int = typer.Option(1000, help="Meta-training steps."),
    meta_batch: int = typer.Option(1, help="Episodes a step."),
    lr: float = typer.Option(1e-3, help="Rate of Adam."),
    halve_every: int | None = typer.Option(None, help="Halve the rate every so many steps."),
    val_every: int = typer.Option(100, help="Steps between meta-validations."),
    val_episodes: int = typer.Option(50, help="Episodes of a meta-validation."),
    patience: int | None = typer.Option(
        None, help="Stop after so many validations without a better one."
    ),
    seed: int = typer.Option(0, help="Decides weights and episodes."),
    device: str = typer.Option("auto", help="auto, cpu, cuda, ..."),
    workers: int = typer.Option(1, help="On a CPU: threads that share a step's episodes."),
    vectorise: bool | None = typer.Option(
        None, help="All episodes of a step in one pass; by default on a GPU, where possible."
    ),
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
    bf16: bool = typer.Option(False, help="Encode in bfloat16 (faster where it is supported)."),
    channels_last: bool = typer.Option(False, help="Lay images out pixel by pixel (often faster)."),
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
    from medshot.app.render import next_step, say
    from medshot.app.training_data import encoder_for, training_data
    from medshot.data.readers.registry import kind_of
    from medshot.training.device import limited
    from medshot.training.progress import bar
    from medshot.training.run import steps_done
    from medshot.training.train import train as meta_train

    torch.manual_seed(seed)
    kinds = {kind_of(folder, task) for folder in data}
    made = named_learner(learner, encoder or encoder_for(kinds), set_)
    counts = {"way": way, "shot": shot, "query": query, "seed": seed}
    taught, judged = training_data(data, task, made, **counts)
    if (done := steps_done(out)) is not None:
        say(f"{out}: already done." if done >= steps else f"{out}: going on from step {done}.")
    with limited(threads):
        run = meta_train(
            made,
            taught,
            val=judged,
            out=out,
            way=way,
            shot=shot,
            query=query,
            steps=steps,
            meta_batch=meta_batch,
            lr=lr,
            halve_every=halve_every,
            val_every=val_every,
            val_episodes=val_episodes,
            patience=patience,
            seed=seed,
            device=device,
            workers=workers,
            vectorise=vectorise,
            terms=_terms(contrast, teacher, adversarial),
            bf16=bf16,
            channels_last=channels_last,
            watch=bar,
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
