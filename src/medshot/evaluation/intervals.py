"""Confidence intervals of a metric over patients, of few images and at the ends of its range.

`docs/intervals.md` has the constructions, and how often they hold in simulation.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from medshot.core import Task, TaskError, is_fraction
from medshot.evaluation.statistics import Z95, Interval

FOLDED = 1.5  # variance in cross-validation, where images train and test each other
WITHIN = 0.5  # prior correlation of the images of a patient
PRIOR = 6  # patients that the prior of a design effect counts for
PRIOR_RANKED = 20  # patients of the rarest class that the prior of an AUROC's variance counts for
PARTS = 100  # maximal number of parts of a jackknife in a stratum

Limits = tuple[float, float]
UNKNOWN: Limits = math.nan, math.nan


@dataclass(frozen=True, eq=False)
class Sample:
    """Evidence of a task's metrics on some patients: scores and their intervals.

    `fold` is the fold of each image, None where one predictor answered to all. An interval is
    NaN where a class has one patient only: its variation is unknown.
    """

    rows: tuple[ndarray, ...]  # inputs of the metrics, one row per image
    groups: Int[ndarray, "n"]  # patients
    strata: Int[ndarray, "n"]  # class of each image; with several, the rarest
    task: Task
    fold: Int[ndarray, "n"] | None = None

    def value(self, metric: str, index: Int[ndarray, "m"] | slice = slice(None)) -> float:
        """A metric over the images of `index`, by default all; one that ranks does so in folds."""
        rows = self.rows
        if metric in self.task.ranking and self.fold is not None:
            rows = (*rows, self.fold)
        return float(self.task.metrics[metric](*(each[index] for each in rows)))

    def interval(self, metric: str) -> Interval:
        """A metric with its 95% interval for new patients."""
        value = self.value(metric)
        if not math.isfinite(value):
            return Interval(value, *UNKNOWN, self.patients)
        if (hits := self._hits(metric)) is not None:
            right, y, weights = hits
            shares, trials = _by_class(right.astype(float), y, self.groups)
            limits = stratified_wilson(shares, trials / self._folded, weights)
            if self.fold is not None:
                whole = self.rate(right, np.ones(len(right), bool))
                limits = unequal(value, limits, (whole.low, whole.high), weights)
        else:
            limits = self._limits(metric, value)
        return Interval(value, *limits, self.patients)

    def minus(self, other: "Sample", metric: str) -> Interval:
        """Paired difference to another model on the same images; 0 for one that answers alike."""
        value = self.value(metric) - other.value(metric)
        if all(map(np.array_equal, self.rows, other.rows)):
            return Interval(value, value, value, self.patients)
        ours, theirs = self._hits(metric), other._hits(metric)
        if ours is not None and theirs is not None:
            right, y, weights = ours
            gain = right.astype(float) - theirs[0]
            shares, trials = _by_class(gain, y, self.groups)
            changed = _by_class(np.abs(gain), y, self.groups)[0]
            low, high = paired_shares(shares, changed, trials, weights)
        else:
            low, high = self._limits_minus(other, metric, value)
        return Interval(value, min(low, value), max(high, value), self.patients)

    def rate(self, right: Bool[ndarray, "n"], among: Bool[ndarray, "n"]) -> Interval:
        """Fraction of the images `among` all that are `right`."""
        own, groups = right[among].astype(float), self.groups[among]
        if not len(own):
            return Interval(math.nan, *UNKNOWN, self.patients)
        shares, trials = _by_class(own, np.zeros(len(own), np.int64), groups)
        low, high = wilson(shares, trials / self._folded)
        return Interval(float(shares[0]), float(low[0]), float(high[0]), self.patients)

    @cached_property
    def patients(self) -> int:
        """Number of patients; of images, where no patient is known."""
        return len(np.unique(self.groups))

    @property
    def _folded(self) -> float:
        """Variance relative to that of one predictor."""
        return 1.0 if self.fold is None else FOLDED

    @cached_property
    def _freedom(self) -> float:
        """Correction of a variance for few patients of the rarest class, by Student's t."""
        from scipy.special import stdtrit  # noqa: PLC0415  (slow to import)

        classes, counts = np.unique(self._stratum[1], return_counts=True)
        return float(stdtrit(max(1, len(classes) * (counts.min() - 1)), 0.975) / Z95)

    @cached_property
    def _labels(self) -> tuple[Bool[ndarray, "n k"], Bool[ndarray, "n k"]] | None:
        """True and predicted labels, where images have labels."""
        return self.task.decisions(*self.rows[:2]) if len(self.rows) == 2 else None

    @property
    def _folds(self) -> Int[ndarray, "n"]:
        return np.zeros(len(self.groups), np.int64) if self.fold is None else self.fold

    def _hits(self, metric: str) -> tuple[ndarray, ndarray, ndarray] | None:
        """What was right, the classes, and the weight of each recall; None for other metrics."""
        if self._labels is None or metric not in ("accuracy", "balanced accuracy"):
            return None
        true, said = self._labels
        y = true.argmax(1)
        counts = np.unique(y, return_counts=True)[1]
        even = metric == "balanced accuracy"
        weights = np.ones(len(counts)) / len(counts) if even else counts / len(y)
        return np.logical_and(true, said).max(axis=1), y, weights

    def _limits(self, metric: str, value: float) -> Limits:
        inflation = self._freedom * self._folded
        variance = inflation * self._variance(metric)
        low, high = self.range(metric)
        if not math.isfinite(variance):
            return UNKNOWN
        if math.isinf(high - low):
            half = Z95 * math.sqrt(variance)
            return (max(value - half, low), min(value + half, high)) if half else UNKNOWN
        share, variance = (value - low) / (high - low), variance / (high - low) ** 2
        trials = self._trials(metric)
        if metric in self.task.ranking:
            center = (trials * share + 2) / (trials + 4)
            usual = inflation * center * (1 - center) / trials
            n = self._rarest
            variance = (n * variance + PRIOR_RANKED * usual) / (n + PRIOR_RANKED)
            trials = center * (1 - center) / variance if variance > 0 else trials
        elif 0 < share < 1 and variance > 0:
            trials = share * (1 - share) / variance
        ends = wilson(np.array([share]), np.array([trials]))
        down, up = (low + (high - low) * float(end[0]) for end in ends)
        return down, up

    def _limits_minus(self, other: "Sample", metric: str, value: float) -> Limits:
        variance = self._freedom * self._variance(metric, other)
        low, high = self.range(metric)
        if self._labels is not None and not math.isinf(high - low):  # counts: few may be equal
            trials = self._trials(metric) / self._freedom
            variance += 2 * ((high - low) / (trials + 2)) ** 2
        half = Z95 * math.sqrt(variance)
        return (value - half, value + half) if half else UNKNOWN

    def range(self, metric: str) -> Limits:
        """Lowest and highest value of a metric."""
        low = self.task.lowest.get(metric, 0.0)
        return low, 1.0 if is_fraction(metric) else math.inf

    def _trials(self, metric: str) -> float:
        """Trials of a proportion that would vary as the metric, from the number of patients."""
        if metric not in self.task.ranking or self._labels is None:
            return float(self.patients)
        return ranked_trials(self._labels[0], self.groups, self._folds)

    @cached_property
    def _stratum(self) -> tuple[Int[ndarray, "p"], Int[ndarray, "p"]]:
        """Patients, and the stratum of each: its rarest class."""
        own, member = np.unique(self.groups, return_inverse=True)
        order = np.argsort(np.bincount(self.strata), kind="stable")  # classes, the rarest first
        place = np.full(len(own), len(order))
        np.minimum.at(place, member, np.argsort(order)[self.strata])
        return own, order[place]

    @property
    def _rarest(self) -> int:
        """Patients of the rarest class."""
        return int(np.unique(self._stratum[1], return_counts=True)[1].min())

    def _variance(self, metric: str, other: "Sample | None" = None) -> float:
        """Variance of a metric, or of the difference to another model's, over patients.

        It is that of the influences of the patients, or else a jackknife over patients, within
        classes. NaN where a class has one patient, and the metric needs all classes.
        """
        patients, strata = self._stratum
        classes, counts = np.unique(strata, return_counts=True)
        if metric in self.task.ranking:
            moved = self._influences(metric) - (0 if other is None else other._influences(metric))
            sums = np.bincount(np.unique(self.groups, return_inverse=True)[1], moved)
            own = [sums[strata == c] for c in classes]
            if counts.min() < 2:
                return math.nan
            return sum(len(values) ** 2 / (len(values) - 1) * float(values.var()) for values in own)
        for c in classes[counts < 2]:  # joined with the largest
            strata = np.where(strata == c, classes[counts.argmax()], strata)
        everyone, variance = np.arange(len(self.groups)), 0.0
        for c in np.unique(strata):
            shuffled = np.random.default_rng(0).permutation(patients[strata == c])
            parts = np.array_split(shuffled, min(len(shuffled), PARTS))
            if len(parts) < 2:
                return math.nan
            kept = [everyone[~np.isin(self.groups, part)] for part in parts]
            left = [self.value(metric, at) for at in kept]
            if other is not None:
                left = [a - other.value(metric, at) for a, at in zip(left, kept, strict=True)]
            variance += (len(parts) - 1) * float(np.var(left))
        return variance

    def _influences(self, metric: str) -> Float[ndarray, "n"]:
        """Influence of each image on a metric that ranks images."""
        if self._labels is None:
            raise TaskError(f"{metric} ranks images by label, and {self.task.kind} gives none.")
        return self.task.ranking[metric](self.rows[0], self._labels[0], self._folds)


def wilson(
    share: Float[ndarray, "k"], n: Float[ndarray, "k"], z: float = Z95
) -> tuple[Float[ndarray, "k"], Float[ndarray, "k"]]:
    """Score interval of a proportion of (effectively) `n` trials. Source: Wilson 1927."""
    center = (n * share + z**2 / 2) / (n + z**2)
    half = z * np.sqrt(n * share * (1 - share) + z**2 / 4) / (n + z**2)
    return np.minimum(center - half, share), np.maximum(center + half, share)


def stratified_wilson(
    shares: Float[ndarray, "k"], n: Float[ndarray, "k"], weights: Float[ndarray, "k"]
) -> Limits:
    """Score interval of a weighted mean of proportions of (effectively) `n` trials each.

    Source: Yan & Su 2010, doi:10.1198/sbr.2009.0049, with the variances at the centers of the
    Wilson intervals, so that none is 0.
    """
    center = (n * shares + Z95**2 / 2) / (n + Z95**2)
    deviation = weights * np.sqrt(center * (1 - center) / n)
    z = Z95 * math.sqrt(float((deviation**2).sum())) / float(deviation.sum())
    low, high = wilson(shares, n, z)
    return float(weights @ low), float(weights @ high)


def unequal(share: float, strata: Limits, whole: Limits, weights: Float[ndarray, "k"]) -> Limits:
    """Limits between those from `strata` and those of one proportion, by squared distances.

    Predictors of other training sets call large classes more or less often, which moves all recalls
    at once: a mean with equal weights stays, and the more these differ, the more does it move. The
    interval of one proportion counts by 1 minus the effective fraction of the strata (Kish 1965).
    """
    part = 1 - 1 / (len(weights) * float((weights**2).sum()))
    down, up = (
        math.sqrt((1 - part) * (share - a) ** 2 + part * (share - b) ** 2)
        for a, b in zip(strata, whole, strict=True)
    )
    return share - down, share + up


def paired_shares(
    gain: Float[ndarray, "k"],
    changed: Float[ndarray, "k"],
    n: Float[ndarray, "k"],
    weights: Float[ndarray, "k"],
) -> Limits:
    """Interval of a weighted mean of differences of paired proportions of `n` trials each.

    `changed` is the fraction of trials that differ. Source: Bonett & Price 2012,
    doi:10.3102/1076998611411915; their pseudo-observations, one for each sign, are shared by the
    proportions.
    """
    one = 1 / len(n)
    center = n * gain / (n + 2 * one)
    moved = (n * changed + 2 * one) / (n + 2 * one)
    half = Z95 * math.sqrt(float((weights**2 * (moved - center**2) / (n + 2 * one)).sum()))
    middle = float(weights @ center)
    return middle - half, middle + half


def design_effect(
    values: Float[ndarray, "n"], y: Int[ndarray, "n"], groups: Int[ndarray, "n"]
) -> float:
    """Variance of class means of grouped values relative to that of independent ones.

    The ratio of the cluster-robust to the simple variance, shrunk to that of a correlation of
    `WITHIN` in a group, as few groups do not show it.
    """
    robust = simple = squares = 0.0
    patients = 0
    for c in np.unique(y):
        own, members = values[y == c], np.unique(groups[y == c], return_inverse=True)[1]
        sizes, left = np.bincount(members), own - own.mean()
        g = len(sizes)
        robust += (np.bincount(members, left) ** 2).sum() / len(own) ** 2 * g / max(g - 1, 1)
        simple += (left**2).sum() / len(own) ** 2
        squares += (sizes**2).sum() / len(own)
        patients += g
    if patients == len(y):
        return 1.0
    size = squares / len(np.unique(y))  # images of the patient of an image, on average
    usual = 1 + (size - 1) * WITHIN
    if simple == 0:
        return usual
    found = min(max(robust / simple, 1), size)
    return (patients * found + PRIOR * usual) / (patients + PRIOR)


def ranked_trials(
    has: Bool[ndarray, "n k"], groups: Int[ndarray, "n"], fold: Int[ndarray, "n"]
) -> float:
    """Trials of a proportion that would vary as a macro AUROC of 0.5 within folds.

    Of a patients with a class and b without, the variance is (a + b + 1) / (12 a b) (Mann & Whitney
    1947); k classes count as k / 2 independent ones, if they are more than two.
    """
    found = np.zeros(has.shape[1])
    for f in np.unique(fold):
        member = groups[fold == f] == np.unique(groups[fold == f])[:, None]  # patients x images
        a, b = ((member @ each).sum(0) for each in (has[fold == f], ~has[fold == f]))
        found += 3 * a * b / (a + b + 1)
    return float(found.mean() * max(1, has.shape[1] / 2))


def _by_class(
    values: Float[ndarray, "n"], y: Int[ndarray, "n"], groups: Int[ndarray, "n"]
) -> tuple[Float[ndarray, "k"], Float[ndarray, "k"]]:
    """Mean of each class, and its effective number of images; NaN for a class of one patient.

    Of several classes the numbers are lower by one patient each, as their means are estimated.
    """
    classes, n = np.unique(y, return_counts=True)
    patients = np.array([len(np.unique(groups[y == c])) for c in classes])
    means = np.array([values[y == c].mean() for c in classes])
    kept = 1 - (len(classes) > 1) / patients
    return means, np.where(patients > 1, n * kept / design_effect(values, y, groups), np.nan)
