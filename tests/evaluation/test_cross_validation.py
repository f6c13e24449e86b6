"""Every image is predicted once, by what has not seen its patient."""

import copy
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import toys
from medshot.core.episode import Examples
from medshot.core.errors import DataError
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.data.dataset import Dataset
from medshot.data.episodes import own_groups
from medshot.evaluation.cross_validation import (
    OutOfFold,
    answered,
    cross_validate,
    even_folds,
    folds_of,
)
from medshot.learners.registry import build
from medshot.tasks import Classification
from medshot.tasks.classification import METRICS


class Watched(Learner):
    """Learns nothing, and notes what it was shown and asked."""

    supports = (Classification,)
    source = "none"

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Flatten()
        self.shown: list[Tensor] = []
        self.asked: list[Tensor] = []

    def learn(self, support: Examples, task: Task) -> Predictor:
        self.shown.append(support.x)
        return _Asked(self.asked, task.n_outputs)


class _Asked(Predictor):
    def __init__(self, asked: list[Tensor], k: int) -> None:
        super().__init__()
        self.asked, self.k = asked, k

    def forward(self, x: Tensor) -> Tensor:
        self.asked.append(x)
        return torch.zeros(len(x), self.k)

    def freeze(self) -> Predictor:
        return self


def _numbered(y: list[int], groups: list[int]) -> Dataset:
    """A set in which the pixels of image i are all i."""
    n = len(y)
    x = torch.arange(n).byte()[:, None, None, None].expand(n, 1, 16, 16).contiguous()
    labels = tuple(f"class {c}" for c in range(max(y) + 1))
    return replace(
        toys.dataset(), x=x, y=torch.tensor(y), labels=labels, groups=torch.tensor(groups)
    )


def _images(x: Tensor) -> list[int]:
    return (x[:, 0, 0, 0] * 255).round().long().tolist()


def _separable(seed: int = 0, k: int = 3, patients: int = 4, images: int = 2) -> Dataset:
    rng = torch.Generator().manual_seed(seed)
    y = torch.arange(k).repeat_interleave(patients * images)
    x = torch.randint(0, 160, (len(y), 1, 16, 16), generator=rng)
    x[torch.arange(len(y)), 0, y * 2] += 60
    groups = torch.arange(k * patients).repeat_interleave(images)
    return replace(toys.dataset(k), x=x.byte(), y=y, groups=groups)


def test_no_patient_is_on_both_sides_and_every_image_is_asked_once() -> None:
    y = [0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 0]
    groups = [0, 0, 1, 2, 3, 3, 4, 5, -1, -1, -1, -1]
    learner = Watched()
    found = cross_validate(learner, _numbered(y, groups))
    asked = [_images(x) for x in learner.asked]
    assert sorted(chain(*asked)) == list(range(len(y)))
    assert len(asked) == found.folds
    for shown, held in zip(map(_images, learner.shown), asked, strict=True):
        known = {groups[i] for i in shown} - {-1}
        assert not known & {groups[i] for i in held}
        assert not set(shown) & set(held)


def test_it_agrees_with_a_slow_loop() -> None:
    dataset = _separable()
    learner = build("nearest-centroid", encoder=toys.conv4())
    found = cross_validate(learner, dataset)
    folds = even_folds(dataset.present_classes(), dataset.groups)
    for rest, held in folds:
        for i in held.tolist():
            predictor = learner.adapt(dataset.examples(rest), Classification(3))
            odds = predictor(dataset.examples(slice(i, i + 1)).x).double().softmax(1)[0]
            assert found.decoded[i] == pytest.approx(odds.detach().numpy(), abs=1e-6)
    assert found.folds == len(folds)


def test_it_is_deterministic() -> None:
    learner = build("linear-probe", encoder=toys.conv4())
    first, second = (cross_validate(learner, _separable()) for _ in range(2))
    assert np.array_equal(first.decoded, second.decoded)
    for metric in METRICS:
        assert first.interval(metric) == second.interval(metric)


@pytest.mark.parametrize("seed", range(3))
def test_intervals_hold_the_value_and_are_wider_for_fewer_patients(seed: int) -> None:
    rng = np.random.default_rng(seed)
    few, many = (_answers(rng, patients) for patients in (5, 80))
    for metric, score in METRICS.items():
        for found in (few, many):
            interval = found.interval(metric)
            assert interval.mean == score(found.decoded, found.y)
            assert interval.low <= interval.mean <= interval.high
        assert many.interval(metric).half < few.interval(metric).half
    assert few.interval("accuracy").n == 10


def test_the_interval_is_that_of_a_slow_bootstrap() -> None:
    found = _answers(np.random.default_rng(0), patients=12)
    rng = np.random.default_rng(7)
    values = []
    for _ in range(1500):
        index: list[int] = []
        for c in (0, 1):
            patients = np.unique(found.groups[found.y == c])
            for patient in rng.choice(patients, len(patients)):
                index += np.flatnonzero(found.groups == patient).tolist()
        values.append(METRICS["accuracy"](found.decoded[index], found.y[index]))
    low, high = np.percentile(values, (2.5, 97.5))
    interval = found.interval("accuracy")
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.03)


def test_differences_are_paired() -> None:
    one = _answers(np.random.default_rng(0), patients=20)
    same = copy.copy(one)
    assert one.minus(same, "accuracy").half == 0
    other = _answers(np.random.default_rng(1), patients=20)
    forth, back = one.minus(other, "macro AUROC"), other.minus(one, "macro AUROC")
    assert forth.mean == pytest.approx(-back.mean)
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))


@pytest.mark.parametrize(
    ("y", "groups", "told"),
    [
        ([0, 0, 1], [-1, -1, -1], "'class 1' has too few images"),
        ([0, 0, 0, 1, 1, 1], [1, 1, 1, 2, 2, 2], "'class 0', 'class 1' has too few patients"),
        ([0, 0, 1, 1], [1, 2, 3, 3], "'class 1' has too few patients"),
        ([0, 1], [-1, -1], "too few images"),
    ],
)
def test_where_nothing_can_be_left_out_it_says_which_class(
    y: list[int], groups: list[int], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        cross_validate(Watched(), _numbered(y, groups))


@pytest.mark.parametrize("seed", range(30))
def test_folds_hold_whatever_the_patients_have(seed: int) -> None:
    """Patients in several classes, classes of two patients, patients of many images."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(6, 30)), int(rng.integers(2, 4))
    y = torch.from_numpy(rng.integers(0, k, n)).long()
    y[:k] = torch.arange(k)
    groups = torch.from_numpy(rng.integers(-1, int(rng.integers(2, n)), n)).long()
    pairs = folds_of(y[:, None] == torch.arange(k), groups)
    for rest, held in pairs:
        assert set(y[rest].tolist()) == set(y.tolist())
        own = own_groups(groups)
        assert not set(own[rest].tolist()) & set(own[held].tolist())
    held_out = sorted(chain(*(held.tolist() for _, held in pairs)))
    assert held_out in ([], list(range(n)))
    assert len(pairs) <= 5


def _answers(rng: np.random.Generator, patients: int) -> OutOfFold:
    """Answers for two images of each of so many patients a class, right more often than not."""
    y = np.repeat([0, 1], 2 * patients)
    groups = np.repeat(np.arange(2 * patients), 2)
    second = np.clip(rng.normal(0.4 + 0.2 * y, 0.2), 0, 1)
    return OutOfFold(np.stack([1 - second, second], 1), y, groups, 5, Classification(2), y)


# A predictor's answers, and the paired difference of two.


def test_the_answers_are_those_of_the_predictor_image_by_image():
    data = toys.dataset(shots=15)
    predictor = build("nearest-centroid", encoder=toys.conv4()).adapt(data)
    found = answered(predictor, data)
    wanted = torch.cat([predictor(x[None]) for x in data.examples().x]).double().softmax(1)
    np.testing.assert_allclose(found.decoded, wanted.numpy(), atol=1e-5)
    right = wanted.argmax(1) == data.y
    by_class = [right[data.y == c].double().mean().item() for c in range(3)]
    assert found.interval("balanced accuracy").mean == np.mean(by_class)


def test_beside_itself_nothing_is_gained():
    data = toys.dataset()
    predictor = build("nearest-centroid", encoder=toys.conv4()).adapt(data)
    minus = answered(predictor, data).minus(answered(predictor, data), "balanced accuracy")
    assert (minus.mean, minus.low, minus.high) == (0, 0, 0)
