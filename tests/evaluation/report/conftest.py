"""One full report and one with nothing optional, for every test of the page."""

import math

import numpy as np
import pytest

from medshot.evaluation.report import (
    Confusion,
    Difference,
    Estimate,
    MetricRow,
    MetricsTable,
    Provenance,
    Reliability,
    Report,
    ReportProtocol,
    ShownPrediction,
    Support,
    SupportImage,
)


def _pixels(channels: int = 3) -> np.ndarray:
    return np.full((channels, 8, 12), 90, dtype=np.uint8)


@pytest.fixture
def bare() -> Report:
    return Report(title="A bare report", support=Support(("a", "b"), 10, None))


@pytest.fixture
def metrics() -> MetricsTable:
    undefined = Estimate(math.nan, math.nan, math.nan, 602, "one class never occurred")
    return MetricsTable(
        ("prototypes", "class mean"),
        (
            MetricRow(
                "balanced accuracy",
                (Estimate(0.7821, 0.7512, 0.8133, 600), Estimate(0.541, 0.512, 0.57, 601)),
                chance=0.5,
            ),
            MetricRow("macro AUROC", (Estimate(0.903, 0.884, 0.922, 600), undefined)),
        ),
        interval_method="bootstrap over patients",
    )


@pytest.fixture
def full(metrics: MetricsTable) -> Report:
    return Report(
        title="Two kinds of polyp",
        support=Support(
            ("adenoma", "hyperplastic"),
            10,
            7,
            (
                SupportImage(_pixels(), "adenoma", "P1"),
                SupportImage(_pixels(1), "hyperplastic", name="x.png"),
            ),
        ),
        warnings=("no patient ids: scores are optimistic",),
        metrics=metrics,
        differences=(
            Difference("balanced accuracy", "class mean", Estimate(0.241, 0.208, 0.274, 599)),
            Difference("macro AUROC", "class mean", Estimate(-0.004, -0.021, 0.012, 598)),
        ),
        confusion=Confusion(("adenoma", "hyperplastic"), np.array([[412, 61], [0, 0]]), "Pooled."),
        reliability=Reliability(
            np.array([0.55, 0.0, 0.91]), np.array([0.5, 0.0, 0.87]), np.array([18, 0, 36]), 0.043
        ),
        examples=(
            ShownPrediction(_pixels(), "adenoma", "adenoma", 0.934, "P8"),
            ShownPrediction(_pixels(), "adenoma", "hyperplastic", 0.517, "P9"),
        ),
        examples_note="Drawn at random.",
        protocol=ReportProtocol(
            "patient-disjoint", 603, 2, 5, 15, 41, "e1e2e3", True, ("by patient",)
        ),
        provenance=Provenance(
            "prototypes",
            "d1d2d3",
            "2025-03-14",
            "medshot learn polyps --seed 41",
            {"shrinkage": "0.1"},
            {"numpy": "2.1.3"},
            ("CC BY 4.0, https://example.org/polyps",),
        ),
    )
