"""The phantom task of image labels, and its episodes."""

from itertools import product

import numpy as np
import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.phantoms import FINDINGS, MODALITIES, PhantomEpisodes, PhantomTask, phantom_dataset
from medshot.phantoms.fields import ellipse, grid
from medshot.phantoms.labels.task import kinds, move

ALL = [
    PhantomTask(7, size=32, finding=finding, modality=modality)
    for finding, modality in product(FINDINGS, MODALITIES)
]
EACH = pytest.mark.parametrize("task", ALL, ids=lambda task: f"{task.finding}-{task.modality}")


@EACH
def test_images_are_those_that_render_gives(task: PhantomTask) -> None:
    x, y, patient = task.images(3)
    again = PhantomTask(7, size=32, finding=task.finding, modality=task.modality)
    for row in range(len(x)):
        image = row // task.way % 2
        assert np.array_equal(x[row], again.render(int(y[row]), int(patient[row]), image))


@EACH
def test_pictures_use_the_scale(task: PhantomTask) -> None:
    x, _, _ = task.images(2)
    assert x.shape == (8, 3, 32, 32)
    assert x.dtype == np.uint8
    assert x.std(axis=(1, 2, 3)).min() > 10.0
    assert np.ptp(x.reshape(len(x), -1), axis=1).min() > 80


def test_fewer_images_are_the_first_of_more() -> None:
    task = PhantomTask(3, size=32)
    few, many = task.images(3), task.images(6)
    for short, long in zip(few, many, strict=True):
        assert np.array_equal(short, long[: len(short)])


@pytest.mark.parametrize("images_per_patient", [1, 2, 3])
def test_classes_share_no_patient(images_per_patient: int) -> None:
    _, y, patient = PhantomTask(5, way=3, size=16).images(6, images_per_patient)
    assert y.dtype == patient.dtype == np.int64
    assert np.bincount(y).tolist() == [6, 6, 6]
    people = [set(patient[y == label].tolist()) for label in range(3)]
    assert len(set.union(*people)) == sum(map(len, people)) == 3 * 6 // images_per_patient


@EACH
def test_pictures_of_one_patient_are_more_alike_than_of_two(task: PhantomTask) -> None:
    x, _, _ = task.images(12)
    pairs = x.reshape(6, 2, 4, -1).astype(np.float64)
    within = np.abs(pairs[:, 0] - pairs[:, 1]).mean()
    between = np.abs(pairs[1:, 0] - pairs[:-1, 1]).mean()
    assert within < 0.8 * between


def test_two_pictures_of_a_patient_are_not_the_same_picture() -> None:
    task = PhantomTask(1, size=32)
    assert not np.array_equal(task.render(0, 0, 0), task.render(0, 0, 1))


def test_seeds_draw_every_finding_and_modality() -> None:
    drawn = {PhantomTask(seed)._plan[:2] for seed in range(200)}
    assert drawn == set(product(FINDINGS, MODALITIES))


def test_naming_what_the_seed_would_draw_changes_nothing() -> None:
    free = PhantomTask(11, size=32)
    named = PhantomTask(11, size=32, finding=free._plan.finding, modality=free._plan.modality)
    assert named.names == free.names
    assert np.array_equal(named.render(1, 2), free.render(1, 2))


def test_names_differ_within_a_task() -> None:
    for seed in range(30):
        names = PhantomTask(seed, way=6).names
        assert len(set(names)) == 6
        assert all(names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"finding": "rash"}, "lesion.*shape.*texture"),
        ({"modality": "pet"}, "ct.*dermoscopy.*histology.*mr.*ultrasound.*xray"),
        ({"finding": "lesion", "way": 99}, "way is 99.*lesion.*24"),
        ({"way": 1}, "way is 1.*2 or more"),
        ({"size": 8}, "size is 8.*16 or more"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PhantomTask(0, **options)


def test_bad_addresses_are_refused() -> None:
    task = PhantomTask(0, size=16)
    with pytest.raises(ConfigError, match="seed is -1"):
        PhantomTask(-1)
    with pytest.raises(ConfigError, match="labels are 0 to 3"):
        task.render(4, 0)
    with pytest.raises(ConfigError, match="patient is -1"):
        task.render(0, -1)
    with pytest.raises(ConfigError, match="image is -1"):
        task.render(0, 0, -1)
    with pytest.raises(ConfigError, match="count is 0"):
        task.images(0)
    with pytest.raises(ConfigError, match="images_per_patient is 0"):
        task.images(2, 0)


def nearest_centroid(x: np.ndarray, y: np.ndarray, way: int, shots: int) -> float:
    """Return the accuracy on the rest of the class means of the first `shots` a class."""
    train = np.arange(len(y)) < shots * way
    flat = x.reshape(len(x), -1).astype(np.float64)
    centroids = np.stack([flat[train & (y == label)].mean(axis=0) for label in range(way)])
    distance = ((flat[~train, None] - centroids) ** 2).sum(axis=2)
    return float((distance.argmin(axis=1) == y[~train]).mean())


@pytest.mark.parametrize("finding", FINDINGS)
def test_raw_pixels_tell_something_but_not_all(finding: str) -> None:
    accuracy = []
    for seed, modality in enumerate(MODALITIES * 2):
        task = PhantomTask(100 + seed, size=32, finding=finding, modality=modality)
        x, y, _ = task.images(15, images_per_patient=1)
        accuracy.append(nearest_centroid(x, y, task.way, shots=5))
    assert 0.3 < float(np.mean(accuracy)) < 0.65


def test_motion_is_small_and_never_the_same() -> None:
    x, y = grid(64)
    still = ellipse(x, y, (0.2, -0.1), (0.4, 0.3))
    moved = [move(still, np.random.default_rng(seed)) for seed in range(20)]
    centres = np.array([[(x * m).sum() / m.sum(), (y * m).sum() / m.sum()] for m in moved])
    assert np.abs(centres - [0.2, -0.1]).max() < 0.12
    assert len(np.unique(centres[:, 0])) == 20
    assert moved[0].dtype == np.float32


# Episodes of phantoms: numbered, of disjoint kinds, no patient twice.


SMALL = {"way": 2, "shot": 2, "query": 1, "size": 16}


def test_episodes_are_numbered() -> None:
    source, again = PhantomEpisodes(**SMALL), PhantomEpisodes(**SMALL)
    for i in (0, 5):
        assert torch.equal(source.episode(i).support.x, again.episode(i).support.x)
        assert torch.equal(source.episode(i).query.x, again.episode(i).query.x)
    assert not torch.equal(source.episode(0).query.x, source.episode(1).query.x)
    other = PhantomEpisodes(**SMALL, seed=1)
    assert not torch.equal(source.episode(0).query.x, other.episode(0).query.x)


def test_an_episode_has_its_shots_in_unit_range() -> None:
    episode = PhantomEpisodes(way=3, shot=2, query=1, size=16).episode(0)
    assert episode.support.x.shape == (6, 3, 16, 16)
    assert episode.support.y.bincount().tolist() == [2, 2, 2]
    assert episode.query.y.bincount().tolist() == [1, 1, 1]
    assert 0 <= episode.support.x.min() < episode.support.x.max() <= 1


def test_patients_are_in_support_or_query() -> None:
    for i in range(3):
        episode = PhantomEpisodes(**SMALL).episode(i)
        assert episode.support.groups is not None
        assert episode.query.groups is not None
        support, query = (set(e.groups.tolist()) for e in (episode.support, episode.query))
        assert len(support) == 4
        assert not support & query


def test_parts_share_no_kind_and_leave_none_out() -> None:
    train, unseen = kinds("train"), kinds("unseen")
    assert not set(train) & set(unseen)
    assert sorted(train + unseen) == sorted(product(FINDINGS, MODALITIES))
    assert len(unseen) / len(train + unseen) == pytest.approx(1 / 3, abs=0.1)
    assert {finding for finding, _ in train} == set(FINDINGS)
    assert {modality for _, modality in train} == set(MODALITIES)


@pytest.mark.parametrize("part", ["train", "unseen"])
def test_tasks_are_of_the_kinds_of_their_part(part: str) -> None:
    source = PhantomEpisodes(**SMALL, part=part)
    drawn = {(task.finding, task.modality) for task in map(source.task, range(40))}
    assert drawn <= set(kinds(part))
    assert len(drawn) > len(kinds(part)) / 2


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'train'"):
        kinds("trian")


def test_the_fingerprint_tells_lists_apart() -> None:
    source = PhantomEpisodes(**SMALL)
    assert source.fingerprint(10) == PhantomEpisodes(**SMALL).fingerprint(10)
    others = (
        source.fingerprint(11),
        PhantomEpisodes(**SMALL, seed=1).fingerprint(10),
        PhantomEpisodes(**SMALL, part="unseen").fingerprint(10),
    )
    assert source.fingerprint(10) not in others
    assert source.describe()["data"] == "phantoms"


def test_a_task_as_a_data_set_knows_its_patients() -> None:
    task = PhantomEpisodes(**SMALL).task(0)
    dataset = phantom_dataset(task, 4, images_per_patient=2)
    assert dataset.labels == task.names
    assert list(dataset.counts().values()) == [4, 4]
    assert dataset.groups.bincount().tolist() == [2, 2, 2, 2]
    for patient in dataset.groups.unique():
        assert len(dataset.y[dataset.groups == patient].unique()) == 1
    assert dataset.preprocessing.size == 16
    assert dataset.hash == phantom_dataset(task, 4).hash
    assert dataset.hash != phantom_dataset(task, 3).hash
