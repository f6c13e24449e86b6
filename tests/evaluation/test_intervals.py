"""Intervals at the ends of a range, of few patients, and how often they hold."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from medshot.evaluation.cross_validation import even_folds
from medshot.evaluation.intervals import (
    Sample,
    design_effect,
    paired_shares,
    ranked_trials,
    stratified_wilson,
    unequal,
    wilson,
)
from medshot.tasks import Classification, MultiLabel, Ordinal, Regression, Segmentation
from medshot.tasks.classification import auroc_influences, aurocs


def _sample(p: np.ndarray, y: np.ndarray, folds: int = 0, groups: np.ndarray | None = None):
    k = p.shape[1]
    fold = np.arange(len(y)) // k % folds if folds else None
    return Sample(
        (p, y), np.arange(len(y)) if groups is None else groups, y, Classification(k), fold
    )


def _drawn(rng: np.random.Generator, n: int, signal: float, k: int = 2):
    y = np.arange(n) % k
    p = rng.normal(size=(n, k)) + signal * np.eye(k)[y]
    return np.exp(p) / np.exp(p).sum(1, keepdims=True), y


@pytest.mark.parametrize(("right", "n"), [(3, 3), (0, 2), (7, 9), (40, 50)])
def test_of_one_proportion_it_is_wilsons(right: int, n: int) -> None:
    wanted = binomtest(right, n).proportion_ci(method="wilson")
    share, trials = np.array([right / n]), np.array([float(n)])
    low, high = wilson(share, trials)
    assert (low[0], high[0]) == pytest.approx((wanted.low, wanted.high), abs=1e-6)
    both = stratified_wilson(np.repeat(share, 2), trials / 2 * np.ones(2), np.full(2, 0.5))
    assert both == pytest.approx((wanted.low, wanted.high), abs=1e-6), "two halves are one"


def test_unequal_weights_count_part_of_the_variance_between_strata() -> None:
    strata, whole = (0.3, 0.5), (0.1, 0.7)
    assert unequal(0.4, strata, whole, np.full(4, 0.25)) == pytest.approx(strata)
    low, high = unequal(0.4, strata, whole, np.array([0.8, 0.2]))
    part = 1 - 1 / (2 * (0.64 + 0.04))
    assert (0.4 - low) ** 2 == pytest.approx((1 - part) * 0.01 + part * 0.09)
    assert high == pytest.approx(0.8 - low)
    assert np.isnan(unequal(0.4, (np.nan, np.nan), whole, np.array([0.8, 0.2]))).all()


def test_a_class_of_two_images_makes_it_wide_and_the_large_one_bounds_it() -> None:
    low, high = stratified_wilson(np.array([1.0, 0.0]), np.array([50.0, 2.0]), np.full(2, 0.5))
    assert low == pytest.approx(0.47, abs=0.02)
    assert 0.75 < high < 0.95


@pytest.mark.parametrize("metric", ["balanced accuracy", "macro AUROC", "accuracy"])
@pytest.mark.parametrize("folds", [0, 3])
def test_all_right_is_not_sure(metric: str, folds: int) -> None:
    few, many = (_sample(np.eye(2)[y], y, folds) for y in (np.arange(6) % 2, np.arange(60) % 2))
    one, other = few.interval(metric), many.interval(metric)
    assert one.mean == one.high == other.mean == 1
    assert 0 < one.low < 0.75 < other.low < 1


def test_a_class_of_one_patient_gives_no_interval() -> None:
    y = np.array([0, 0, 0, 0, 1, 1])
    sample = _sample(np.eye(2)[y], y, groups=np.array([0, 1, 2, 3, 4, 4]))
    for metric in sample.task.metrics:
        found = sample.interval(metric)
        assert found.mean == 1
        assert np.isnan((found.low, found.high)).all()


def test_images_of_a_patient_say_less_than_as_many_patients() -> None:
    p, y = _drawn(np.random.default_rng(0), 40, 1)
    groups = np.arange(40) // 8 * 2 + y  # four images each
    for metric in METRICS:
        assert (
            _sample(p, y, 2, groups).interval(metric).half > _sample(p, y, 2).interval(metric).half
        )


METRICS = tuple(Classification(2).metrics)


@pytest.mark.parametrize("signal", [0.0, 1.0])
@pytest.mark.parametrize(("n", "k"), [(16, 2), (40, 2), (30, 3)])
def test_of_one_predictor_they_hold(n: int, k: int, signal: float) -> None:
    rng = np.random.default_rng(n + k)
    new = _sample(*_drawn(rng, 40_000 * k, signal, k))
    for metric in METRICS:
        truth = new.value(metric)
        found = [_sample(*_drawn(rng, n, signal, k)).interval(metric) for _ in range(400)]
        share = np.mean([f.low <= truth <= f.high for f in found])
        assert share == pytest.approx(0.955, abs=0.04), metric
        assert np.mean([f.mean for f in found]) == pytest.approx(truth, abs=0.02)


def test_differences_hold_and_are_never_without_width() -> None:
    rng = np.random.default_rng(0)
    held = dict.fromkeys(METRICS, 0)
    for _ in range(300):
        p, y = _drawn(rng, 24, 1)
        q = np.where(rng.random(24) < 0.7, p.T, _drawn(rng, 24, 1)[0].T).T  # alike in 7 of 10
        for metric in METRICS:
            found = _sample(p, y).minus(_sample(q, y), metric)
            held[metric] += found.low <= 0 <= found.high
            assert found.low < found.mean < found.high
    assert all(count / 300 >= 0.92 for count in held.values()), held


def test_the_same_answers_do_not_differ_and_others_may() -> None:
    y = np.arange(6) % 2
    sure, right = np.eye(2)[y], 0.2 + 0.6 * np.eye(2)[y]
    for metric in METRICS:
        same = _sample(sure, y, 3).minus(_sample(sure.copy(), y, 3), metric)
        assert (same.mean, same.low, same.high) == (0, 0, 0)
        alike = _sample(sure, y, 3).minus(_sample(right, y, 3), metric)
        assert alike.mean == 0
        assert alike.low < -0.1 < 0.1 < alike.high


def test_of_one_pair_of_proportions_it_is_that_of_bonett_and_price() -> None:
    n, more, less = 20, 6, 2
    b, c = (more + 1) / (n + 2), (less + 1) / (n + 2)
    half = 1.959964 * ((b + c - (b - c) ** 2) / (n + 2)) ** 0.5
    shares = [np.array([v]) for v in ((more - less) / n, (more + less) / n, float(n), 1.0)]
    assert paired_shares(*shares) == pytest.approx((b - c - half, b - c + half))


def test_ranks_are_compared_within_folds() -> None:
    rng = np.random.default_rng(0)
    p, there, fold = rng.integers(0, 6, (30, 2)) / 6, rng.integers(0, 2, (30, 2)), np.arange(30) % 4
    for c in range(2):
        pairs = [
            np.sign(p[i, c] - p[j, c]) / 2 + 0.5
            for i in range(30)
            for j in range(30)
            if there[i, c] and not there[j, c] and fold[i] == fold[j]
        ]
        assert aurocs(p, there, fold)[c] == pytest.approx(np.mean(pairs))
    assert aurocs(p + fold[:, None], there, fold) == pytest.approx(aurocs(p, there, fold))


def test_influences_are_those_of_leaving_an_image_out() -> None:
    p, y = _drawn(np.random.default_rng(1), 60, 1, 3)
    fold = np.arange(60) // 3 % 4
    there = np.eye(3, dtype=bool)[y]
    found = auroc_influences(p, there, fold)
    whole = aurocs(p, there, fold).mean()
    kept = [np.delete(np.arange(60), i) for i in range(60)]
    left = np.array([aurocs(p[at], there[at], fold[at]).mean() for at in kept])
    assert found.sum() == pytest.approx(0, abs=1e-12)
    assert np.corrcoef(found, whole - left)[0, 1] > 0.999
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(whole - left), rel=0.06)


def test_trials_of_pairs_and_of_patients() -> None:
    pairs = np.eye(2, dtype=bool)[np.arange(6) % 2]
    assert ranked_trials(pairs, np.arange(6), np.arange(6) // 2) == pytest.approx(3)
    both = np.eye(2, dtype=bool)[np.arange(12) % 2]  # a patient has images of both classes
    assert ranked_trials(both, np.arange(12) // 4, np.arange(12) // 4) == pytest.approx(3)
    assert design_effect(np.array([0.0, 1, 1, 0]), np.zeros(4, int), np.arange(4)) == 1
    alike = np.repeat([0.0, 1, 1, 0, 1, 0] * 20, 2)
    assert design_effect(alike, np.zeros(240, int), np.arange(240) // 2) == pytest.approx(
        2, abs=0.05
    )
    rng = np.random.default_rng(0)
    apart = rng.integers(0, 2, 2000).astype(float)
    assert design_effect(apart, np.zeros(2000, int), np.arange(2000) // 2) == pytest.approx(
        1, abs=0.06
    )


@pytest.mark.parametrize("seed", range(5))
def test_errors_and_correlations_have_intervals_that_hold_the_value(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(20, 1))
    said = y + rng.normal(size=(20, 1))
    one = Sample((said, y), np.arange(20), np.zeros(20, int), Regression(1), np.arange(20) % 5)
    other = replace(one, rows=(said + rng.normal(size=(20, 1)), y))
    for metric in one.task.metrics:
        found, apart = one.interval(metric), one.minus(other, metric)
        assert found.low < found.mean < found.high
        assert apart.low < apart.mean < apart.high
    assert one.interval("R2").high <= 1
    assert one.interval("Spearman correlation").low >= -1


def test_grades_and_findings_all_right() -> None:
    grades = np.repeat(np.arange(3), 3)
    ordinal = Sample((np.eye(3)[grades], grades), np.arange(9), grades, Ordinal(2), grades * 0)
    for metric in ("quadratic weighted kappa", "balanced accuracy"):
        found = ordinal.interval(metric)
        assert found.mean == found.high == 1
        assert found.low < 0.9
    error = ordinal.interval("mean absolute error (grades)")
    assert error.mean == 0
    assert np.isnan(error.high), "errors that do not vary say nothing of their size"
    y = np.array([[0, 1], [1, 0], [1, 1], [0, 0]] * 2)
    findings = Sample((y * 0.8 + 0.1, y), np.arange(8), np.arange(8) % 4, MultiLabel(2))
    for metric in findings.task.metrics:
        found = findings.interval(metric)
        assert found.mean == found.high == 1
        assert 0.3 < found.low < 0.95


# Folds of equal shares.


@pytest.mark.parametrize(("counts", "folds"), [((8, 8), 4), ((3, 3), 3), ((20, 6), 3), ((7, 9), 4)])
def test_folds_have_the_same_shares_of_classes(counts: tuple[int, int], folds: int) -> None:
    y = torch.repeat_interleave(torch.arange(2), torch.tensor(counts))
    pairs = even_folds(y[:, None] == torch.arange(2), torch.full((len(y),), -1))
    assert len(pairs) == folds
    held = torch.stack([y[part].bincount(minlength=2) for _, part in pairs])
    assert (held.amax(0) - held.amin(0) <= 1).all()
    assert (held.sort(0).values == held.flip(0).sort(0).values).all()
    more = held - held.amin(0)
    assert all((more[i] <= more[i - 1]).all() for i in range(1, folds)), "the same folds for all"


def test_paired_differences_of_overlap_are_as_sure_as_their_variation_allows() -> None:
    rng, n, held, widths = np.random.default_rng(0), 8, 0, []

    def sample(dice: np.ndarray) -> Sample:
        whole = np.full((n, 2), 1000)
        both = np.stack([whole[:, 0], (1000 * dice).round().astype(int)], 1)
        return Sample((both, whole, whole), np.arange(n), np.zeros(n, int), Segmentation(2))

    for _ in range(400):
        one = rng.normal(0.85, 0.05, n).clip(0, 1)
        other = (one - rng.normal(0.02, 0.02, n)).clip(0, 1)
        found = sample(one).minus(sample(other), "Dice")
        held += found.low <= 0.02 <= found.high
        widths.append(found.high - found.low)
    assert 0.9 < held / 400 < 0.98
    assert np.mean(widths) < 0.04
