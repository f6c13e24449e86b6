"""`medshot predict`: answers for new images, as a table."""

import csv
import io
from pathlib import Path

import typer


def predict(
    model: Path = typer.Argument(help="A folder that `medshot adapt` made."),
    images: list[Path] = typer.Argument(help="Image files, or folders of them."),
    out: Path = typer.Option(help="The CSV file to write; it must not exist."),
) -> None:
    """Write path, prediction, confidence and a probability a class for each image.

    A file that cannot be read does not stop the others: its row is left empty, the reason is
    printed, and the command ends with status 1.
    """
    from medshot.app.show import console, errors, progress
    from medshot.core.errors import DataError, SaveError
    from medshot.core.files import write_text
    from medshot.core.store import load_predictor
    from medshot.data.find import find_images

    if out.exists():
        raise SaveError(f"{out} exists already, and nothing is ever overwritten. Choose another.")
    predictor = load_predictor(model)
    files = find_images(images)
    labels = predictor.known_card().labels
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["path", "prediction", "confidence", *(f"p({label})" for label in labels)])
    unread = 0
    for i in progress("predict", range(len(files))):
        try:
            answer = predictor.predict(files[i])
        except DataError as error:
            errors.print(f"medshot: {error}", markup=False)
            table.writerow([files[i], *[""] * (2 + len(labels))])
            unread += 1
            continue
        odds = [f"{p:.6f}" for p in answer.probabilities.values()]
        table.writerow([files[i], answer.label, f"{answer.confidence:.6f}", *odds])
    write_text(out, text.getvalue())
    console.print(f"{out}: {len(files) - unread} of {len(files)} images predicted", highlight=False)
    if unread:
        raise typer.Exit(1)
