"""Episodes of masks: repeatable, by patient, every class in the support."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import toys
from medshot.core.errors import ConfigError, DataError
from medshot.data.episodes import ImageEpisodes
from medshot.tasks import Segmentation


def _data(groups=None, shows=None):
    """Eight images of three classes; `shows` says on which images class 2 is seen."""
    base = toys.dataset(2, shots=4)
    y = torch.zeros(8, 16, 16, dtype=torch.uint8)
    y[:, :4] = 1
    y[list(range(8) if shows is None else shows), 8:] = 2
    known = base.groups if groups is None else torch.tensor(groups)
    labels, task = ("0", "1", "2"), Segmentation(3)
    return replace(base, y=y, labels=labels, groups=known, task=task)


def test_an_episode_is_a_function_of_seed_and_number():
    sampler = ImageEpisodes(_data(), shot=2, query=3, seed=4)
    first, again = sampler.episode(7), ImageEpisodes(_data(), shot=2, query=3, seed=4).draw(7)
    assert [len(part) for part in again] == [2, 3]
    assert (len(first.support), len(first.query), first.task.n_outputs) == (2, 3, 3)
    assert tuple(first.support.y.shape) == (2, 16, 16)
    other = ImageEpisodes(_data(), shot=2, query=3, seed=5)
    assert sampler.fingerprint(5) != other.fingerprint(5)
    assert sampler.describe()["shot"] == 2


def test_no_patient_is_in_both_and_all_left_can_be_asked():
    groups = [0, 0, 0, 1, 1, 2, 2, -1]
    sampler = ImageEpisodes(_data(groups), shot=2, query=None)
    for i in range(30):
        support, query = sampler.draw(i)
        known = {groups[p] for p in support} - {-1}
        assert not known & {groups[p] for p in query}
        left = [p for p in range(8) if p not in support and groups[p] not in known]
        assert sorted(query) == left


def test_every_class_is_seen_in_the_support():
    sampler = ImageEpisodes(_data(shows=[3]), shot=1)
    assert all(sampler.draw(i)[0].tolist() == [3] for i in range(200))  # however rare it is
    sampler = ImageEpisodes(_data(shows=[3, 5]), shot=2)
    assert {tuple(sorted(set(sampler.draw(i)[0]) & {3, 5})) for i in range(50)} >= {(3,), (5,)}


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(DataError, match="2 are on no image"):
        ImageEpisodes(_data(shows=[]), shot=2)
    with pytest.raises(DataError, match="could not be drawn"):
        ImageEpisodes(_data(), shot=4, query=5)
    with pytest.raises(ConfigError):
        ImageEpisodes(_data(), shot=0)


def test_another_form_has_the_same_draws():
    sampler = ImageEpisodes(_data(), shot=2)
    other = sampler.at(3, 32)
    assert tuple(other.episode(0).support.x.shape) == (2, 3, 32, 32)
    np.testing.assert_array_equal(other.draw(0)[0], sampler.draw(0)[0])
