from pathlib import Path

import numpy as np
import pytest
import torch

from medshot.core.episode import Episode
from medshot.core.errors import ConfigError, DataError, LeakError
from medshot.data.episodes import own_groups
from medshot.data.load import load_one
from medshot.data.split import (
    fewest_groups,
    patient_folds,
    refuse_shared_patients,
    split_classes,
    split_patients,
)
from medshot.tasks import Classification
from toys.files import toy


@pytest.mark.parametrize("seed", range(30))
def test_no_patient_is_on_both_sides(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, way = int(rng.integers(30, 90)), int(rng.integers(2, 5))
    y = rng.integers(0, way, n).tolist()
    data = toy(y, groups=rng.integers(-1, n // 3, n).tolist())
    folds = patient_folds(data, 3, seed)
    for rest, held in folds:
        assert sorted([*rest.tolist(), *held.tolist()]) == list(range(n))
        ours = {g for g in data.groups[rest].tolist() if g >= 0}
        assert ours.isdisjoint(data.groups[held].tolist())
    assert sorted(torch.cat([held for _, held in folds]).tolist()) == list(range(n))
    rest, held = split_patients(data, 0.25, seed)
    assert min(rest.counts().values()) > 0
    assert min(held.counts().values()) > 0
    refuse_shared_patients(rest, held)
    assert 0.05 < len(held) / n < 0.6


def test_unknown_patients_are_each_their_own() -> None:
    data = toy([0] * 50 + [1] * 50)
    rest, held = split_patients(data, 0.2)
    assert held.counts() == {"class0": 10, "class1": 10}
    assert own_groups(torch.tensor([-1, 3, -1, 0])).tolist() == [4, 3, 5, 0]
    assert (
        fewest_groups(
            torch.tensor([0, 0, 1, 1])[:, None] == torch.arange(2), torch.tensor([2, 2, -1, -1])
        )
        == 1
    )
    again = split_patients(data, 0.2)
    assert torch.equal(rest.x, again[0].x)
    assert not torch.equal(rest.x, split_patients(data, 0.2, seed=1)[0].x)


def test_few_images_are_split_as_well_as_can_be() -> None:
    rest, held = split_patients(toy([0, 0, 1, 1]), 0.2)
    assert rest.counts() == held.counts() == {"class0": 1, "class1": 1}
    rest, held = split_patients(toy([0, 0] + [1] * 30), 0.2)  # not every fold has class0
    assert rest.counts()["class0"] == held.counts()["class0"] == 1


def test_a_class_that_cannot_be_on_both_sides_is_named() -> None:
    data = toy([0, 0, 0, 1, 1, 1, 1, 1], groups=[7, 7, 7, 1, 2, 3, 4, 5])
    with pytest.raises(DataError, match="class0 have too few patients"):
        split_patients(data)
    with pytest.raises(DataError, match="9 parts"):
        patient_folds(data, 9)
    with pytest.raises(DataError, match="too few"):
        split_patients(toy([0, 1], groups=[3, 3]))


@pytest.mark.parametrize("share", [0, -0.1, 0.6, 1])
def test_a_share_is_at_most_a_half(share: float) -> None:
    for split in (split_patients, split_classes):
        with pytest.raises(ConfigError, match=r"at most 0\.5"):
            split(toy([0, 0, 1, 1]), float(share))


@pytest.mark.parametrize("seed", range(5))
def test_by_class_is_disjoint(seed: int) -> None:
    data = toy([c for c in range(11) for _ in range(3)])
    rest, held = split_classes(data, 0.2, seed)
    assert set(rest.labels).isdisjoint(held.labels)
    assert set(rest.labels) | set(held.labels) == set(data.labels)
    assert (len(rest.labels), len(held.labels)) == (9, 2)
    for part in (rest, held):
        for x, y in zip(part.x[:, 0, 0, 0].tolist(), part.y.tolist(), strict=True):
            assert part.labels[y] == f"class{x // 3}"


def test_one_class_cannot_be_split() -> None:
    with pytest.raises(DataError, match="one class"):
        split_classes(toy([0, 0]))


def test_a_leak_is_refused_everywhere() -> None:
    first, second = toy([0, 1], groups=[1, 2]), toy([0, 1], groups=[2, 3])
    with pytest.raises(LeakError, match="1 patient"):
        refuse_shared_patients(first, second)
    with pytest.raises(LeakError, match="number 2"):
        Episode(Classification(2), first.examples(), second.examples())
    unknown = toy([0, 1], groups=[-1, -1])
    refuse_shared_patients(unknown, unknown)
    Episode(Classification(2), unknown.examples(), unknown.examples())


def test_real_patients_are_kept_apart(real_data: Path) -> None:
    data = load_one(real_data / "cls_covid_cxr", size=8)
    rest, held = split_patients(data)
    assert set(rest.groups.tolist()).isdisjoint(held.groups.tolist())
    assert min(held.counts().values()) > 15
