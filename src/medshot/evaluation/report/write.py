"""Render a report to one HTML page and write it whole or not at all."""

import os
import secrets
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from medshot.evaluation.report import axis, figures, words
from medshot.evaluation.report.content import Report
from medshot.evaluation.report.scatter import scatter
from medshot.evaluation.report.thumbnails import thumbnail

STANDING_LINE = "Research use only. Not a medical device; not validated for any clinical decision."


def write_report(report: Report, path: str | os.PathLike[str]) -> Path:
    """Write a report as one self-contained HTML file and return its path.

    The folder is made where it is missing. An older file stays as it was until the new page is
    complete on disk. Raises OSError where the file cannot be written, and TypeError or ValueError
    where an image is not uint8 ``c h w``.
    """
    target = Path(path)
    # A file name that is not valid UTF-8 reaches here with lone surrogates: show them, do not fail.
    page = render_report(report).encode("utf-8", errors="backslashreplace")
    target.parent.mkdir(parents=True, exist_ok=True)
    _replace(target, page)
    return target


def render_report(report: Report) -> str:
    """Return the page as text; the same report always gives the same text."""
    template = _environment().get_template("page.html.jinja")
    return template.render(
        report=report,
        summary=report.summary or words.summary_sentence(report),
        right=[example for example in report.examples if example.exact and example.correct],
        wrong=[example for example in report.examples if example.exact and not example.correct],
        near=[example for example in report.examples if not example.exact],
        standing_line=STANDING_LINE,
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        axis=axis, figures=figures, scatter=scatter, words=words, thumbnail=thumbnail
    )
    return environment


def _replace(target: Path, page: bytes) -> None:
    """Put the page in place in one step, so that no reader ever sees half of it."""
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # "x" and not a private temporary file: the page gets the usual access rights.
        with temporary.open("xb") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
