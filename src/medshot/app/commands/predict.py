"""`medshot predict`: answers for new images, as a table; for masks and images, a folder."""

from pathlib import Path

import typer

from medshot.app.parse import THREADS, out_option


def predict(
    model: Path = typer.Argument(help="A folder that `medshot adapt` made."),
    images: list[Path] = typer.Argument(
        help="Files of images (or volumes), or folders of them; folders with labels.csv."
    ),
    out: Path = out_option(
        "The CSV file to write (for masks and images, the folder); it must not exist."
    ),
    labelme: bool = typer.Option(
        False,
        "--labelme",
        help="Masks as LabelMe files too, in OUT/labelme, to be corrected there.",
    ),
    skip_bad: bool = typer.Option(
        False, "--skip-bad", help="End with status 0 also where files could not be read."
    ),
    threads: int = THREADS,
) -> None:
    """Write path, prediction, confidence and a probability a class for each image.

    A model for masks writes a PNG for each image, of its size, with a class number a pixel (for a
    volume NIfTI, on its grid), in overlays/ a picture of each on its image, and a table with the
    share that each class has. Masks that were corrected and saved in LabelMe are learned from by
    `medshot adapt FIRST_IMAGES OUT/labelme`; corrected NIfTI likewise, in a folder with its volume.

    A model for boxes or points writes them as a table (boxes.csv, points.csv) and as COCO JSON, the
    counts of each image, and in overlays/ a picture of each with what is counted.

    A model for enhancement writes an image for each image, of its size, channels and depth.

    A model for several kinds of data reads the rows of labels.csv in the folders named (or another
    table that is named); no label need be in it.

    A path that does not exist stops it before anything is done. A file that cannot be read does not
    stop the others: its row is left empty, the reason is printed, and the command ends with status
    1 (with --skip-bad 0). Predictions that a spreadsheet would run as a formula get an apostrophe
    before them.

    Example:

        medshot predict my_model new_images/ --out answers.csv
    """
    from medshot import limit_threads, load_predictor
    from medshot.app.terminal import errors, plain, progress, tell

    predictions = load_predictor(model).predict_folder(images)
    with limit_threads(threads):
        saved = predictions.save(
            out,
            labelme=labelme,
            show=lambda files: progress("predict", files),
            tell=lambda error: errors.print(plain(f"medshot: {error}")),
        )
    tell(f"{out}: {saved.n} of {len(predictions)} images predicted")
    if saved.unread and not skip_bad:
        raise typer.Exit(1)
