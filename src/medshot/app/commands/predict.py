"""`medshot predict`: answers for new images, as a table."""

from pathlib import Path

import typer


def predict(
    model: Path = typer.Argument(help="A folder that `medshot adapt` made."),
    images: list[Path] = typer.Argument(help="Image files, or folders of them."),
    out: Path = typer.Option(help="The CSV file to write; it must not exist."),
) -> None:
    """Write path, prediction, confidence and a probability a class for each image.

    A file that cannot be read does not stop the others: its row is left empty, the reason is
    printed, and the command ends with status 1. Predictions that a spreadsheet would run as a
    formula get an apostrophe before them.

    Example:

        medshot predict my_model new_images/ --out answers.csv
    """
    from medshot.app.answers import Answers
    from medshot.app.show import errors, plain, progress, tell
    from medshot.core.errors import DataError, TaskError
    from medshot.core.files import refuse_taken, write_text
    from medshot.core.store import load_predictor
    from medshot.data.find import find_images

    refuse_taken(out)
    predictor = load_predictor(model)
    if predictor.known_card().task.on_grid:
        raise TaskError(
            f"{model} answers with masks, which this command does not write yet: "
            "`medshot.load_predictor(MODEL).predict(IMAGE).mask` in Python."
        )
    files = find_images(images)
    answers = Answers(predictor.known_card().labels)
    for i in progress("predict", range(len(files))):
        try:
            answers.add(predictor.predict(files[i]))
        except DataError as error:
            errors.print(plain(f"medshot: {error}"))
            answers.add_unread(files[i])
    write_text(out, answers.text())
    tell(f"{out}: {len(files) - answers.unread} of {len(files)} images predicted")
    if answers.unread:
        raise typer.Exit(1)
