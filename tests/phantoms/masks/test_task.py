"""Segmentation phantoms: exact, determined by their numbers, neither easy nor impossible."""

import numpy as np
import pytest
import torch

from medshot import build, encoder
from medshot.core.errors import ConfigError
from medshot.data.episodes import EpisodeSource
from medshot.phantoms import FAMILIES, PhantomMasks, PhantomVolumes, SceneTask, VolumeTask

SIZE = 48


@pytest.fixture(params=FAMILIES)
def task(request: pytest.FixtureRequest) -> SceneTask:
    return SceneTask(5, SIZE, family=request.param)


def test_an_image_depends_on_its_number_alone(task: SceneTask) -> None:
    x, y, patients = task.images(3)
    again, mask, patient = SceneTask(5, SIZE, family=task.family).images(1, first=2)
    assert np.array_equal(x[2:], again)
    assert np.array_equal(y[2:], mask)
    assert np.array_equal(patients[2:], patient)
    assert not np.array_equal(x[0], x[1])
    assert not np.array_equal(y[0], y[1])
    assert not np.array_equal(x, SceneTask(6, SIZE, family=task.family).images(3)[0])


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_every_class_is_on_every_image(task: SceneTask, classes: int) -> None:
    for seed in range(4):
        chosen = SceneTask(seed, SIZE, classes, task.family)
        _, y, _ = chosen.images(3)
        assert len(chosen.labels) == len(set(chosen.labels)) == classes + 1
        assert all(set(np.unique(mask)) == set(range(classes + 1)) for mask in y)


def test_most_tasks_have_one_class_and_all_families_are_drawn() -> None:
    tasks = [SceneTask(seed, SIZE) for seed in range(120)]
    counts = np.bincount([len(task.labels) - 1 for task in tasks])
    assert counts[1] > counts[2] > counts[3] > 0
    assert {task.plan.name for task in tasks} == set(FAMILIES)


def test_naming_what_would_be_drawn_changes_nothing() -> None:
    free = SceneTask(11, SIZE)
    named = SceneTask(11, SIZE, len(free.labels) - 1, free.plan.name)
    assert np.array_equal(free.images(2)[0], named.images(2)[0])


def test_images_of_a_patient_have_one_number(task: SceneTask) -> None:
    _, y, patients = task.images(4, images_per_patient=2)
    assert patients.tolist() == [0, 0, 1, 1]
    assert not np.array_equal(y[0], y[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 0, "size": 8}, "size is 8"),
        ({"seed": 0, "classes": 4}, "classes is 4"),
        ({"seed": 0, "family": "vesels"}, "Did you mean 'vessels'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SceneTask(**options)


def test_counts_that_cannot_be_are_refused() -> None:
    task = SceneTask(0, SIZE)
    for options in ({"count": 0}, {"count": 1, "first": -1}, {"count": 1, "images_per_patient": 0}):
        with pytest.raises(ConfigError, match="must be a whole number"):
            task.images(**options)


def test_prototypes_of_filters_are_better_than_chance_and_not_perfect() -> None:

    learner = build("nearest-centroid", encoder=encoder("filters", size=SIZE)).eval()
    source, found = PhantomMasks(shot=3, query=1, size=SIZE, classes=1), []
    for i in range(20):
        episode = source.episode(i)
        with torch.no_grad():
            claim = learner.adapt(episode.support, episode.task)(episode.query.x).argmax(1)
        truth = episode.query.y
        both = ((claim == 1) & (truth == 1)).sum()
        found.append(2 * both / ((claim == 1).sum() + (truth == 1).sum()))
        half = truth.float().mean()  # of a coin: 2 * p / 2 over (1/2 + p)
        found[-1] = torch.stack([found[-1], 2 * half * 0.5 / (0.5 + half)])
    ours, chance = torch.stack(found).mean(0)
    assert chance + 0.1 < ours < 0.9


@pytest.mark.parametrize("family", FAMILIES)
def test_volumes_are_as_images(family: str) -> None:
    task = VolumeTask(5, (20, 24, 28), classes=2, family=family)
    x, y, _ = task.images(2)
    assert x.shape == (2, 1, 20, 24, 28)
    assert y.shape == (2, 20, 24, 28)
    assert all(set(np.unique(mask)) == {0, 1, 2} for mask in y)
    assert np.array_equal(task.images(1, first=1)[0], x[1:])
    assert task.plan.style == "grey"


@pytest.mark.parametrize("size", [8, (20, 24), (20, 24, 8)])
def test_volumes_that_cannot_be_drawn_are_refused(size: int | tuple) -> None:
    with pytest.raises(ConfigError, match="size is"):
        VolumeTask(0, size)


# Episodes of phantoms with masks: numbered, of one protocol with those of real data.


SMALL = {"shot": 2, "query": 1, "size": 32}


def test_episodes_are_numbered() -> None:
    source, again = PhantomMasks(**SMALL), PhantomMasks(**SMALL)
    assert isinstance(source, EpisodeSource)
    for i in (5, 0):
        assert torch.equal(source.episode(i).support.x, again.episode(i).support.x)
        assert torch.equal(source.episode(i).query.y, again.episode(i).query.y)
    others = source.episode(1), PhantomMasks(**SMALL, seed=1).episode(0)
    for other in others:
        assert not torch.equal(source.episode(0).query.x, other.query.x)


def test_an_episode_is_one_that_segmentation_takes() -> None:
    for i in range(20):
        episode = PhantomMasks(**SMALL).episode(i)
        assert episode.support.x.shape == (2, 3, 32, 32)
        assert episode.query.y.shape == (1, 32, 32)
        assert 0 <= episode.support.x.min() < episode.support.x.max() <= 1
        episode.task.check(episode.support.y)
        episode.task.check(episode.query.y)


def test_no_patient_is_in_both() -> None:
    episode = PhantomMasks(**SMALL).episode(0)
    assert episode.support.groups is not None
    assert episode.query.groups is not None
    assert not set(episode.support.groups.tolist()) & set(episode.query.groups.tolist())


def test_the_form_can_be_asked_for() -> None:
    source = PhantomMasks(**SMALL, classes=2, family="smears")
    other = source.at(1, 64)
    assert other.episode(0).support.x.shape == (2, 1, 64, 64)
    assert other.episode(0).task.n_outputs == 3
    assert (other.family, other.seed) == ("smears", 0)


def test_the_fingerprint_tells_lists_apart() -> None:
    source = PhantomMasks(**SMALL)
    assert source.fingerprint(10) == PhantomMasks(**SMALL).fingerprint(10)
    others = source.fingerprint(11), source.at(1, 32).fingerprint(10)
    assert source.fingerprint(10) not in others
    assert source.describe()["data"] == "phantoms"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shot": 0}, "shot is 0"),
        ({"query": 0}, "query is 0"),
        ({"channels": 2}, "number of channels"),
        ({"size": 8}, "size is 8"),
        ({"classes": 0}, "classes is 0"),
        ({"family": "cell"}, "Did you mean 'cells'"),
    ],
)
def test_episodes_that_cannot_be_drawn_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PhantomMasks(**options)


# Episodes of volumes: as those of images, with a depth.


SMALL_VOLUMES = {"shot": 2, "query": 1, "size": 20}


def test_an_episode_of_volumes_is_one_that_segmentation_takes() -> None:
    source = PhantomVolumes(**SMALL_VOLUMES)
    for i in range(5):
        episode = source.episode(i)
        assert episode.support.x.shape == (2, 1, 20, 20, 20)
        assert episode.query.y.shape == (1, 20, 20, 20)
        assert 0 <= episode.support.x.min() < episode.support.x.max() <= 1
        episode.task.check(episode.support.y)
    again = PhantomVolumes(**SMALL_VOLUMES).episode(4)
    assert torch.equal(again.query.x, episode.query.x)


def test_they_are_told_from_images() -> None:
    images = PhantomMasks(shot=2, query=1, size=32, channels=1)
    volumes = PhantomVolumes(shot=2, query=1, size=32)
    assert volumes.fingerprint(3) != images.fingerprint(3)
    assert isinstance(volumes.at(1, 24), PhantomVolumes)
    assert volumes.at(1, 24).episode(0).support.x.shape == (2, 1, 24, 24, 24)


@pytest.mark.parametrize("options", [{"channels": 3}, {"size": 8}, {"shot": 0}])
def test_episodes_of_volumes_that_cannot_be_drawn_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        PhantomVolumes(**(SMALL_VOLUMES | options))
