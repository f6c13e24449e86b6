"""The numbers of a report, against counts made by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import toys
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.episodes import EpisodeScores
from medshot.evaluation.report.build import (
    confusion_of,
    examples_of,
    from_episodes,
    from_folds,
    provenance_of,
    reliability_of,
    support_of,
)
from medshot.tasks import Classification
from medshot.tasks.classification import METRICS

ODDS = np.array([[0.9, 0.1], [0.35, 0.65], [0.2, 0.8], [0.55, 0.45]])
Y = np.array([0, 0, 1, 1])


def test_confusion_counts_truth_by_answer() -> None:
    assert confusion_of(("a", "b"), ODDS, Y).counts.tolist() == [[1, 1], [1, 1]]


def test_reliability_is_in_five_bins() -> None:
    found = reliability_of(ODDS, Y)
    assert found.confidence.tolist() == pytest.approx([0.55, 0.65, 0.85])
    assert found.accuracy.tolist() == [0.0, 0.0, 1.0]
    assert found.count.tolist() == [1, 1, 2]
    assert found.calibration_error == pytest.approx((0.55 + 0.65 + 2 * 0.15) / 4)


def test_certainty_is_in_the_last_bin() -> None:
    found = reliability_of(np.array([[1.0, 0.0]]), np.array([0]))
    assert found.confidence.tolist() == [1.0]
    assert found.calibration_error == 0


@pytest.mark.parametrize(("wrong", "shown"), [(0, 0), (2, 2), (9, 6), (20, 12)])
def test_half_of_the_examples_are_wrong_where_there_are_as_many(wrong: int, shown: int) -> None:
    dataset = toys.dataset(2, 10)
    odds = np.eye(2)[dataset.y.numpy()]
    odds[:wrong] = odds[:wrong, ::-1]
    examples = examples_of(dataset, odds)
    assert len(examples) == 12
    assert sum(not example.correct for example in examples) == shown
    again = examples_of(dataset, odds)
    assert [e.name for e in examples] == [e.name for e in again]


def test_few_examples_are_all_shown() -> None:
    dataset = toys.dataset(2, 2)
    assert len(examples_of(dataset, np.full((4, 2), 0.5))) == 4


def test_the_support_shows_the_first_images_of_each_class() -> None:
    dataset = replace(toys.dataset(3, 10), groups=torch.arange(30) // 2)
    support = support_of(dataset)
    assert support.n_images == 30
    assert support.n_patients == 15
    assert {label: len(images) for label, images in support.by_label().items()} == dict.fromkeys(
        dataset.labels, 8
    )
    assert support.images[0].patient == "0"
    assert support_of(toys.dataset()).n_patients is None


def test_the_table_of_folds_says_what_was_left_out() -> None:
    found = OutOfFold(ODDS, Y, np.arange(4), 2, Classification(2), Y)
    table, differences = from_folds({"mine": found, "base": found}, "image")
    assert table.methods == ("mine", "base")
    assert table.unit == "image"
    assert "images" in table.interval_method
    assert table.rows[0].name == "balanced accuracy"
    assert {row.name for row in table.rows} == set(METRICS)
    assert {row.name: row.chance for row in table.rows} == dict.fromkeys(METRICS, 0.5)
    assert table.rows[0].estimates[0].mean == 0.5
    assert [d.verdict for d in differences] == ["not distinguishable"]


def test_the_table_of_episodes_has_paired_differences() -> None:
    rng = np.random.default_rng(0)
    base = {metric: rng.random(50) for metric in METRICS}
    better = {metric: values + 0.1 for metric, values in base.items()}
    results = {n: EpisodeScores(n, s, {}, False) for n, s in (("mine", better), ("base", base))}
    table, differences = from_episodes(results, Classification(5))
    assert table.unit == "episode"
    assert {row.chance for row in table.rows} == {0.2, 0.5}
    assert differences[0].estimate.mean == pytest.approx(0.1)
    assert differences[0].verdict == "better"


def test_one_episode_has_no_interval_and_says_why() -> None:
    results = {"mine": EpisodeScores("mine", {m: np.array([0.5]) for m in METRICS}, {}, False)}
    estimate = from_episodes(results, Classification(2))[0].rows[0].estimates[0]
    assert estimate.mean == 0.5
    assert math.isnan(estimate.low)
    assert estimate.reason


def test_provenance_is_read_from_the_card() -> None:
    learner = {"learner": {"part": "learner/lda"}, "source": "someone", "origin": "untrained"}
    data = {"hash": "abc", "licence": "CC0"}
    found = provenance_of(
        replace(toys.card(), learner=learner, data=data), {"x": 1}, "medshot adapt"
    )
    assert found.data_hash == "abc"
    assert found.licence_notes == ("CC0",)
    assert found.options == {"x": "1"}
    assert "lda" in found.learner
    assert set(found.versions) >= {"medshot", "torch"}
