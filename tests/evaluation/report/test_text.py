import math
from dataclasses import replace

import pytest

from medshot.evaluation.report import Estimate, MetricsTable, Report, Support, summary_sentence
from medshot.evaluation.report.text import article, in_words, interval, number


def test_numbers_have_three_decimals_and_a_true_minus() -> None:
    assert number(0.78249) == "0.782"
    assert number(-0.0124, signed=True) == "\N{MINUS SIGN}0.012"
    assert number(math.nan) == "undefined"


def test_an_undefined_interval_keeps_its_mean_and_says_why() -> None:
    one = Estimate(0.5, math.nan, math.nan, 1, "one episode only")
    assert in_words(one) == "0.500, interval undefined: one episode only"
    assert interval(replace(one, reason="")) == "interval undefined: no reason was recorded"


def test_summary_says_what_how_much_how_well_and_against_what(full: Report) -> None:
    assert summary_sentence(full) == (
        "The predictor learned to tell “adenoma” from “hyperplastic” from 10 labelled images of "
        "7 patients; over 600 test episodes, prototypes reaches a balanced accuracy of 0.782 "
        "(95% interval 0.751 to 0.813), better than class mean (difference +0.241, 95% interval "
        "+0.208 to +0.274)."
    )


def test_summary_without_scores_baseline_or_patients(bare: Report, metrics: MetricsTable) -> None:
    assert summary_sentence(bare).endswith(
        "10 labelled images of an unknown number of patients; "
        "how well it does has not been measured."
    )
    alone = summary_sentence(replace(bare, metrics=metrics))
    assert alone.endswith("compared with no baseline.")
    itself = summary_sentence(replace(bare, metrics=replace(metrics, baseline=True)))
    assert itself.endswith("; it is the simple baseline itself.")


def test_images_that_were_left_out_in_turn_are_not_called_test_images(
    bare: Report, metrics: MetricsTable
) -> None:
    table = replace(metrics, unit="patient", in_turn=True)
    assert "; over 600 patients left out in turn, prototypes" in summary_sentence(
        replace(bare, metrics=table)
    )


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        (("a",), "to recognise “a”"),
        (("a", "b", "c"), "to tell “a”, “b” and “c” apart"),
        (("a", "b", "c", "d", "e"), "to tell 5 classes apart"),
    ],
)
def test_summary_names_few_labels_and_counts_many(labels: tuple[str, ...], task: str) -> None:
    assert task in summary_sentence(Report("t", Support(labels, 1, 1)))


@pytest.mark.parametrize(
    ("name", "said"),
    [("R2", "an"), ("IoU", "an"), ("accuracy", "an"), ("macro AUROC", "a"), ("Dice", "a")],
)
def test_the_article_is_as_one_says_it(name: str, said: str) -> None:
    assert article(name) == said
