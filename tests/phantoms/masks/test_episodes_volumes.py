"""Episodes of volumes: as those of images, with a depth."""

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.phantoms import PhantomMasks, PhantomVolumes

SMALL = {"shot": 2, "query": 1, "size": 20}


def test_an_episode_is_one_that_segmentation_takes() -> None:
    source = PhantomVolumes(**SMALL)
    for i in range(5):
        episode = source.episode(i)
        assert episode.support.x.shape == (2, 1, 20, 20, 20)
        assert episode.query.y.shape == (1, 20, 20, 20)
        assert 0 <= episode.support.x.min() < episode.support.x.max() <= 1
        episode.task.check(episode.support.y)
    again = PhantomVolumes(**SMALL).episode(4)
    assert torch.equal(again.query.x, episode.query.x)


def test_they_are_told_from_images() -> None:
    images = PhantomMasks(shot=2, query=1, size=32, channels=1)
    volumes = PhantomVolumes(shot=2, query=1, size=32)
    assert volumes.fingerprint(3) != images.fingerprint(3)
    assert isinstance(volumes.at(1, 24), PhantomVolumes)
    assert volumes.at(1, 24).episode(0).support.x.shape == (2, 1, 24, 24, 24)


@pytest.mark.parametrize("options", [{"channels": 3}, {"size": 8}, {"shot": 0}])
def test_what_cannot_be_drawn_is_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        PhantomVolumes(**(SMALL | options))
