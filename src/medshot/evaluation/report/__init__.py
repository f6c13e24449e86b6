"""The report: one self-contained HTML page with the support, scores and examples."""

from medshot.core import Table
from medshot.evaluation.report.html import Report, render_report, write_report
from medshot.evaluation.report.model import (
    Confusion,
    Difference,
    Estimate,
    ImageExample,
    MaskExample,
    MetricRow,
    MetricsTable,
    Pixels,
    Provenance,
    Reliability,
    ReportProtocol,
    Scatter,
    ShownPrediction,
    Support,
    SupportImage,
)
from medshot.evaluation.report.text import summary_sentence

__all__ = [
    "Confusion",
    "Difference",
    "Estimate",
    "ImageExample",
    "MaskExample",
    "MetricRow",
    "MetricsTable",
    "Pixels",
    "Provenance",
    "Reliability",
    "Report",
    "ReportProtocol",
    "Scatter",
    "ShownPrediction",
    "Support",
    "SupportImage",
    "Table",
    "render_report",
    "summary_sentence",
    "write_report",
]
