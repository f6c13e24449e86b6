"""`medshot data`: look at a folder before learning from it."""

from pathlib import Path

import typer

from medshot.app.parse import IGNORE_VALUE, SKIP_BAD

app = typer.Typer(help="Look at folders of images before learning from them.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Look at folders of images before learning from them."""


@app.command()
def check(
    folder: Path = typer.Argument(
        help="One sub-folder a class, labels.csv with path and label, mask, ..., boxes.csv or "
        "points.csv."
    ),
    task: str | None = typer.Option(
        None, help="classification, segmentation, ...", show_default="as labels.csv says"
    ),
    ignore_value: int | None = IGNORE_VALUE,
    skip_bad: bool = SKIP_BAD,
) -> None:
    """Check a folder: problems, in which file, and how to fix them. Changes nothing.

    The status is 1 where there is an error, 0 where there are only remarks. With --skip-bad, what
    `adapt --skip-bad` leaves out is no error.

    Example:

        medshot data check my_images/
    """
    from medshot import check as look
    from medshot.app.terminal import busy, say

    with busy(f"looking at every file of {folder}"):
        found = look(folder, task, skip_bad=skip_bad, ignore_value=ignore_value)
    if found.listed:
        say(f"{folder}: {found.listed}")
    for finding in found.findings:
        line = f" (line {finding.line})" if finding.line else ""
        place = "" if finding.file is None else f"{finding.file}{line}: "
        say(f"{finding.severity}: {place}{finding.what}")
        say(finding.fix, start="    ")
    say(found.verdict)
    if found.errors:
        raise typer.Exit(1)
