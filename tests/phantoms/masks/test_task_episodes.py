"""Episodes of phantoms with masks: numbered, of one protocol with those of real data."""

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.data.episodes import EpisodeSource
from medshot.phantoms import PhantomMasks, PhantomVolumes

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
def test_what_cannot_be_drawn_is_refused(options: dict, message: str) -> None:
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
def test_volumes_that_cannot_be_drawn_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        PhantomVolumes(**(SMALL_VOLUMES | options))
