"""Episodes of phantoms with masks: numbered, of one protocol with those of real data."""

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.data.episodes import EpisodeSource
from medshot.phantoms import PhantomMasks

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
