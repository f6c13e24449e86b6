"""Episodes in which one thing is wrong with all images."""

import pytest
import torch

from medshot.core.errors import ConfigError, DataError
from medshot.data.corruptions import DEGRADATIONS
from medshot.data.degraded import DegradedEpisodes, clean_images
from medshot.training.sources import seen
from toys.pairs import pairs


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return clean_images(pairs(tmp_path_factory.mktemp("clean") / "set", 10), size=32)


@pytest.mark.parametrize("kind", sorted(DEGRADATIONS))
def test_an_episode_has_pairs_that_differ_and_no_patient_twice(clean, kind):
    source = DegradedEpisodes([clean], shot=2, query=3, size=24, kinds=(kind,))
    episode = source.episode(0)
    for part, n in ((episode.support, 2), (episode.query, 3)):
        assert part.x.shape == part.y.shape == (n, 1, 24, 24)
        assert 0 < (part.x - part.y).abs().mean() < 0.3
        assert part.x.min() >= 0
        assert part.x.max() <= 1
    assert not set(episode.support.groups.tolist()) & set(episode.query.groups.tolist())


def test_an_episode_is_a_function_of_its_number(clean):
    first, again = (DegradedEpisodes([clean], shot=1, query=1, size=16) for _ in range(2))
    assert torch.equal(first.episode(3).query.x, again.episode(3).query.x)
    assert not torch.equal(first.episode(3).query.x, first.episode(4).query.x)
    assert first.fingerprint(5) == again.fingerprint(5) != first.fingerprint(6)


def test_one_strength_is_for_all_images_of_an_episode(clean):
    source = DegradedEpisodes([clean], shot=4, query=4, size=32, kinds=("gaussian",))
    deviations = []
    for i in range(6):
        episode = source.episode(i)
        parts = [(e.x - e.y).std().item() for e in (episode.support, episode.query)]
        assert parts[0] == pytest.approx(parts[1], rel=0.15)
        deviations.append(parts[0])
    assert max(deviations) > 1.5 * min(deviations)


def test_a_run_knows_which_data_it_has_seen(clean):
    assert seen(DegradedEpisodes([clean], shot=1, query=1, size=16))[0]["hash"] == clean.hash


def test_what_cannot_be_drawn_is_refused(clean):
    with pytest.raises(ConfigError, match="no degradation called 'rain'"):
        DegradedEpisodes([clean], shot=1, query=1, kinds=("rain",))
    with pytest.raises(ConfigError, match="from images of 32"):
        DegradedEpisodes([clean], shot=1, query=1, size=33)
    with pytest.raises(ConfigError, match="at least one data set"):
        DegradedEpisodes([], shot=1, query=1)
    with pytest.raises(DataError, match="could not be drawn"):
        DegradedEpisodes([clean], shot=10, query=1, size=16)


# Images to be degraded, out of any folder.


def test_images_of_class_folders_are_their_own_targets(tmp_path):
    source = pairs(tmp_path / "pairs", 6)
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for i in range(6):
        picture = source / "clean" / f"{i}.png"
        picture.rename(tmp_path / "set" / "ab"[i % 2] / picture.name)
    found = clean_images(tmp_path / "set", size=24)
    assert found.x.shape == (6, 1, 24, 24)
    assert torch.equal(found.x, found.y)
    assert not found.rows


def test_of_many_some_are_drawn_once_and_for_all(tmp_path):
    folder = pairs(tmp_path / "set", 6)
    first, again = (clean_images(folder, size=16, most=3) for _ in range(2))
    assert len(first) == 3
    assert torch.equal(first.x, again.x)
