"""`medshot adapt`: from a folder of a few labelled images to a predictor and a report."""

from pathlib import Path

import typer

from medshot.app.parse import TASK, THREADS, new_folder


def adapt(
    folder: Path = typer.Argument(
        help="One sub-folder a class, labels.csv with path and label, mask, ..., or boxes.csv."
    ),
    out: Path = new_folder("New folder for the predictor and its report."),
    learner: str = typer.Option("auto", help="auto, a name from `medshot learners`, or a run."),
    task: str | None = TASK,
    encoder: str | None = typer.Option(
        None,
        help="A name, an ENCODER of `medshot pretrain`, a file of weights, resnet50 or timm/NAME.",
        show_default="mobilenet, for masks and boxes unet, for images dncnn",
    ),
    finetune: str = typer.Option(
        "none",
        help="none, head, bias, film, lora, adapter or all: what moves once it has learned; auto "
        "moves a MobileNet's last blocks where images left out speak for it.",
    ),
    set_: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="As in train."),
    modalities: str | None = typer.Option(
        None,
        help="image,table,text,signal: only these, where labels.csv has several.",
        show_default="all",
    ),
    threads: int = THREADS,
) -> None:
    """Learn from a few labelled images; save a predictor and a report on how well it does.

    `auto` takes the stacked probe on the ImageNet encoder that comes with medshot, unless a simpler
    probe predicts your own images clearly better, patient by patient. For masks (a column `mask` in
    labels.csv) it tries a classifier of pixels and a U-Net, for images as they should look (a
    column `target` that names files) learned filters and a DnCNN, which takes minutes. A run of
    `medshot train` brings what it learned from other data. Where labels.csv has a column `text`,
    `signal` or `table.NAME` beside or in place of `path`, each kind of data has an encoder of its
    own, and any may be missing.

    Examples:

        medshot adapt my_images/ --out my_model

        medshot adapt my_images/ --learner runs/proto --out my_model

        medshot adapt my_images/ --learner runs/proto --finetune lora --out my_model

        medshot adapt my_images/ --finetune auto --out my_model
    """
    from medshot.api.adapt import adapt as adapt_to
    from medshot.app.parse import typed
    from medshot.app.render import conclude
    from medshot.core.atomic import new_folder
    from medshot.data.readers.registry import kind_of
    from medshot.evaluation.report import write_report
    from medshot.presenters import kind_called
    from medshot.training.progress import announce, warn_of, watch_folds

    kind = kind_of(folder, task)
    with new_folder(out) as staging:
        announce(f"reading {folder}, adapting, and judging it on patients left out")
        found = adapt_to(
            folder,
            learner=learner,
            encoder=encoder,
            finetune=finetune,
            task=kind,
            options=set_,
            modalities=modalities,
            command=typed(),
            threads=threads,
            watch=watch_folds,
            tell=warn_of,
        )
        found.predictor.save(staging)
        write_report(found.report, staging / "report.html")
    conclude(found.report, out, kind_called(kind).out)
