"""Rendering of a report to one HTML page, with images as ``data:`` URIs, written atomically."""

import base64
import io
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from medshot.core import Table, Tabular
from medshot.evaluation.report import charts, text
from medshot.evaluation.report.charts import scatter
from medshot.evaluation.report.model import (
    Confusion,
    Difference,
    ImageExample,
    MaskExample,
    MetricsTable,
    Pixels,
    Provenance,
    Reliability,
    ReportProtocol,
    Scatter,
    ShownPrediction,
    Support,
)

LONGEST_SIDE = 192
"""Pixels; twice the size on the page, so that print and dense screens stay sharp."""


def thumbnail(pixels: Pixels, longest_side: int = LONGEST_SIDE) -> str:
    """Encode an image ``c h w`` as a PNG data URI, downscaled to the longest side.

    Raises:
        TypeError: the pixels are not uint8.
        ValueError: c is not 1 or 3, or a side is empty.
    """
    image = _to_pillow(pixels)
    image.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _to_pillow(pixels: Pixels) -> Image.Image:
    if pixels.dtype != np.uint8:
        raise TypeError(f"a thumbnail needs uint8 pixels, got {pixels.dtype}")
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or 0 in pixels.shape:
        raise ValueError(f"a thumbnail needs pixels c h w with c 1 or 3, got shape {pixels.shape}")
    if pixels.shape[0] == 1:
        return Image.fromarray(np.ascontiguousarray(pixels[0]))
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


STANDING_LINE = "Research use only. Not a medical device; not validated for any clinical decision."


@dataclass(frozen=True, slots=True, eq=False)
class Report(Tabular):
    """Content of the page; an absent part (None or empty) has no heading."""

    title: str
    support: Support
    summary: str = ""
    """One sentence; if empty, it is generated from the other fields."""
    warnings: tuple[str, ...] = ()
    metrics: MetricsTable | None = None
    differences: tuple[Difference, ...] = ()
    compared: tuple[str, str] = ("learner", "baseline")
    """Names on the page of the method and of what it is compared with."""
    tried: Table | None = None
    confusion: Confusion | None = None
    reliability: Reliability | None = None
    scatter: Scatter | None = None
    tables: tuple[Table, ...] = ()
    examples: tuple[ShownPrediction, ...] = ()
    masks: tuple[MaskExample, ...] = ()
    masks_title: str = "Example masks"
    enhanced: tuple[ImageExample, ...] = ()
    examples_note: str = ""
    """How the examples were chosen, for example "drawn at random from the test images"."""
    protocol: ReportProtocol | None = None
    provenance: Provenance | None = None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write one self-contained HTML file atomically, replacing an older one."""
        return write_report(self, path)

    def table(self) -> Table:
        """The summary, and the scores of each method with their 95% intervals."""
        summary = self.summary or text.summary_sentence(self)
        return text.scores_table(self.metrics, summary) if self.metrics else Table(summary)


def write_report(report: Report, path: str | os.PathLike[str]) -> Path:
    """Write a report atomically as one self-contained HTML file and return its path.

    The folder is created if it is missing.

    Raises:
        OSError: the file cannot be written.
        TypeError, ValueError: an image is not uint8 ``c h w``.
    """
    target = Path(path)
    # A file name that is not valid UTF-8 arrives here with lone surrogates: escape them.
    page = render_report(report).encode("utf-8", errors="backslashreplace")
    target.parent.mkdir(parents=True, exist_ok=True)
    _replace(target, page)
    return target


def render_report(report: Report) -> str:
    """Render the page as text; deterministic."""
    template = _environment().get_template("page.html.jinja")
    return template.render(
        report=report,
        summary=report.summary or text.summary_sentence(report),
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
        axis=charts, figures=charts, scatter=scatter, words=text, thumbnail=thumbnail
    )
    return environment


def _replace(target: Path, page: bytes) -> None:
    """Write the page to a temporary file and move it into place atomically."""
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # open with "x" instead of tempfile, for the usual file permissions
        with temporary.open("xb") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
