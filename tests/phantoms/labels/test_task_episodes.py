"""Episodes of phantoms: numbered, of disjoint kinds, no patient twice."""

from itertools import product

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.phantoms import FINDINGS, MODALITIES, PhantomEpisodes, phantom_dataset
from medshot.phantoms.labels.task import kinds

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
