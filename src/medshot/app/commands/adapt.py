"""`medshot adapt`: from a folder of a few labelled images to a predictor and a report."""

from pathlib import Path

import typer

from medshot.app.parse import IGNORE_VALUE, POINT_SIZE, SKIP_BAD, TASK, THREADS, out_option


def adapt(
    folder: list[Path] = typer.Argument(
        help="One sub-folder a class, labels.csv with path and label, mask, ..., boxes.csv, or "
        "points.csv; of several folders, later ones correct images of earlier ones."
    ),
    out: Path = out_option("New folder for the predictor and its report."),
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
    ignore_value: int | None = IGNORE_VALUE,
    point_size: float | None = POINT_SIZE,
    budget: str | None = typer.Option(
        None,
        help="Time for auto: 90s, 10m, 2h. It then refines what the package has for masks, "
        "and tries a U-Net, where that fits.",
        show_default="no limit, and no U-Net for masks",
    ),
    skip_bad: bool = SKIP_BAD,
    threads: int = THREADS,
) -> None:
    """Learn from a few labelled images; save a predictor and a report on how well it does.

    `auto` takes the stacked probe on the ImageNet encoder that comes with medshot, unless a simpler
    probe predicts your own images clearly better, patient by patient. For masks (a column `mask` in
    labels.csv) it tries the stacked masks, classifiers of pixels and the mean mask, the mean of the
    best two, and a U-Net where `--budget 30m` gives the time; for images as they should look (a
    column `target` that names files) learned filters and a DnCNN, which takes minutes. A run of
    `medshot train` brings what it learned from other data. Where labels.csv has a column `text`,
    `signal` or `table.NAME` beside or in place of `path`, each kind of data has an encoder of its
    own, and any may be missing.

    Examples:

        medshot adapt my_images/ --out my_model

        medshot adapt my_images/ --learner runs/proto --out my_model

        medshot adapt my_images/ answers/labelme --out corrected_model

        medshot adapt my_images/ --learner runs/proto --finetune lora --out my_model

        medshot adapt my_images/ --finetune auto --out my_model

        medshot adapt my_masks/ --budget 30m --out my_model
    """
    import medshot
    from medshot.app.parse import seconds_of, typed
    from medshot.app.terminal import announce, conclude, warn

    names = " and ".join(map(str, folder))
    announce(f"reading {names}, adapting, and judging it on images left out")
    found = medshot.adapt(
        folder,
        learner=learner,
        encoder=encoder,
        finetune=finetune,
        task=task,
        options=set_,
        modalities=modalities,
        ignore_value=ignore_value,
        point_size=point_size,
        budget=None if budget is None else seconds_of(budget),
        skip_bad=skip_bad,
        out=out,
        command=typed(),
        threads=threads,
        watch=lambda what: medshot.progress_bar(what, unit="fit"),
        tell=warn,
    )
    conclude(found, out)
