"""One self-contained HTML page that says what was learnt and how well it does."""

from medshot.evaluation.report.content import (
    ImageExample,
    MaskExample,
    Pixels,
    Prediction,
    Protocol,
    Provenance,
    Report,
    Support,
    SupportImage,
)
from medshot.evaluation.report.numbers import Scatter, Table
from medshot.evaluation.report.scores import (
    Confusion,
    Difference,
    Estimate,
    MetricRow,
    MetricsTable,
    Reliability,
)
from medshot.evaluation.report.words import summary_sentence
from medshot.evaluation.report.write import render_report, write_report

__all__ = [
    "Confusion",
    "Difference",
    "Estimate",
    "ImageExample",
    "MaskExample",
    "MetricRow",
    "MetricsTable",
    "Pixels",
    "Prediction",
    "Protocol",
    "Provenance",
    "Reliability",
    "Report",
    "Scatter",
    "Support",
    "SupportImage",
    "Table",
    "render_report",
    "summary_sentence",
    "write_report",
]
