""""""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy import ndarray

import toys
from medshot.core.errors import ConfigError, DataError
from medshot.data.dataset import Dataset
from medshot.data.episodes import Draw, EpisodeSampler, EpisodeSource, ImageEpisodes, Mixture
from medshot.data.load import load_one
from medshot.tasks import Segmentation
from toys.files import toy

PARTS = ("support", "support_y", "query", "query_y", "turns")


def same(one: Draw, other: Draw) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in PARTS)


def unequal() -> Dataset:
    return toy([0] * 4 + [1] * 9 + [2] * 30 + [3] * 6)


def test_an_episode_is_a_function_of_seed_and_number() -> None:
    one = EpisodeSampler(unequal(), way=3, shot=(1, 2), query=2, seed=5, rotate=True)
    other = EpisodeSampler(unequal(), way=3, shot=(1, 2), query=2, seed=5, rotate=True)
    forwards = [one.draw(i) for i in range(20)]
    for i in reversed(range(20)):
        assert same(other.draw(i), forwards[i])
    third = EpisodeSampler(unequal(), way=3, shot=(1, 2), query=2, seed=6, rotate=True)
    assert not any(same(third.draw(i), forwards[i]) for i in range(20))
    assert torch.equal(one.episode(3).query.x, other.episode(3).query.x)


@pytest.mark.parametrize(("way", "shot", "query"), [(2, 1, 1), (4, 3, 1), (3, 2, 2)])
def test_way_shot_and_query_are_exact(way: int, shot: int, query: int) -> None:
    data = unequal()
    sampler = EpisodeSampler(data, way=way, shot=shot, query=query)
    for i in range(50):
        drawn = sampler.draw(i)
        assert Counter(drawn.support_y.tolist()) == dict.fromkeys(range(way), shot)
        assert Counter(drawn.query_y.tolist()) == dict.fromkeys(range(way), query)
        everything = [*drawn.support, *drawn.query]
        assert len(set(everything)) == len(everything)
        told = {}  # a label of the episode is one class, each class one label
        labels = [*drawn.support_y.tolist(), *drawn.query_y.tolist()]
        for label, c in zip(labels, data.y[everything].tolist(), strict=True):
            assert told.setdefault(label, c) == c
        assert len(set(told.values())) == way
        episode = sampler.episode(i)
        assert episode.task.n_outputs == way
        assert (episode.support.x[:, 0, 0, 0] * 255).round().int().tolist() == list(drawn.support)
        assert episode.query.y.tolist() == drawn.query_y.tolist()


def test_a_range_of_shots_is_drawn_a_class() -> None:
    sampler = EpisodeSampler(unequal(), way=4, shot=(1, 3), query=1)
    shots = [Counter(sampler.draw(i).support_y.tolist())[c] for i in range(300) for c in range(4)]
    times = Counter(shots)
    assert set(times) == {1, 2, 3}
    assert all(abs(count - 400) < 5 * np.sqrt(400) for count in times.values())


def test_without_a_number_all_others_are_asked_about() -> None:
    data = unequal()
    drawn = EpisodeSampler(data, way=4, shot=2, query=None).draw(0)
    assert sorted([*drawn.support, *drawn.query]) == list(range(len(data)))


def test_classes_and_images_are_drawn_evenly() -> None:
    data = unequal()
    sampler = EpisodeSampler(data, way=2, shot=1, query=1)
    classes, images = np.zeros(4), np.zeros(len(data))
    places = np.zeros((2, 4))
    draws = 3000
    for i in range(draws):
        drawn = sampler.draw(i)
        np.add.at(classes, data.y[drawn.support].numpy(), 1)
        np.add.at(images, np.concatenate([drawn.support, drawn.query]), 1)
        np.add.at(places, (drawn.support_y, data.y[drawn.support].numpy()), 1)
    assert _chi_square(classes, np.full(4, draws / 2)) < 20  # 3 degrees of freedom
    assert _chi_square(places.flatten(), np.full(8, draws / 4)) < 30
    expected = np.array([draws / 2 * 2 / (data.y == c).sum().item() for c in data.y])
    assert images.min() > 0
    assert _chi_square(images, expected) < 110  # 49 images, 45 degrees of freedom


def _chi_square(found: ndarray, expected: ndarray) -> float:
    return float(((found - expected) ** 2 / expected).sum())


def test_no_patient_is_shared() -> None:
    rng = np.random.default_rng(0)
    data = toy([0] * 20 + [1] * 20, groups=rng.integers(-1, 12, 40).tolist())
    sampler = EpisodeSampler(data, way=2, shot=3, query=3)
    for i in range(100):
        episode = sampler.episode(i)  # which raises LeakError
        ours = set(episode.support.groups.tolist()) - {-1}
        assert ours.isdisjoint(episode.query.groups.tolist())
        assert len(episode.query) == 6


def test_real_patients_are_not_shared(real_data: Path) -> None:
    data = load_one(real_data / "cls_covid_cxr", size=4)
    assert int(data.groups[data.groups >= 0].bincount().max()) > 2
    sampler = EpisodeSampler(data, way=3, shot=10, query=15)
    for i in range(100):
        drawn = sampler.draw(i)
        assert set(drawn.support).isdisjoint(drawn.query)
        ours = set(data.groups[drawn.support].tolist())
        assert ours.isdisjoint(data.groups[drawn.query].tolist())
        assert len(drawn.query) == 45


def test_patients_who_leave_nothing_to_ask_about() -> None:
    data = toy([0] * 4 + [1] * 4, groups=[0, 0, 0, 0, 1, 2, 3, 4])
    with pytest.raises(DataError, match=r"no patient in both.*fewer"):
        EpisodeSampler(data, way=2, shot=1, query=1).draw(0)


def test_too_little_is_named() -> None:
    with pytest.raises(DataError, match=r"6 images.*'class0' has 4"):
        EpisodeSampler(unequal(), way=2, shot=4, query=2)
    with pytest.raises(DataError, match=r"'class0' has 4, 'class3' has 6"):
        EpisodeSampler(unequal(), way=2, shot=(1, 7), query=None)
    with pytest.raises(DataError, match=r"4 class.*5-way .*way=4"):
        EpisodeSampler(unequal(), way=5, shot=1, query=1)
    with pytest.raises(DataError, match="Add classes"):
        EpisodeSampler(toy([0, 0, 0]), way=2, shot=1, query=1)


@pytest.mark.parametrize(
    "wrong", [{"way": 1}, {"shot": 0}, {"shot": (3, 2)}, {"query": 0}, {"query": -1}]
)
def test_numbers_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least"):
        EpisodeSampler(unequal(), **({"way": 2, "shot": 1, "query": 1} | wrong))


def test_rotation_turns_whole_classes() -> None:
    data = toy([0] * 5 + [1] * 5, size=6)
    data.x[:] = torch.randint(0, 256, data.x.shape, dtype=torch.uint8)
    before = data.x.clone()
    sampler = EpisodeSampler(data, way=2, shot=2, query=2, rotate=True)
    seen = set()
    for i in range(30):
        drawn, episode = sampler.draw(i), sampler.episode(i)
        seen |= set(drawn.turns.tolist())
        for part, index, y in (
            (episode.support, drawn.support, drawn.support_y),
            (episode.query, drawn.query, drawn.query_y),
        ):
            for x, place, label in zip(part.x, index, y, strict=True):
                upright = before[place, 0].numpy()
                turned = np.rot90(upright, drawn.turns[label])
                assert np.array_equal((x[0] * 255).round().byte().numpy(), turned)
    assert seen == {0, 1, 2, 3}
    assert torch.equal(data.x, before)


def test_fingerprint() -> None:
    def of(data: Dataset, episodes: int = 5, **settings: int) -> str:
        given = {"way": 2, "shot": 1, "query": 1, "seed": 0} | settings
        return EpisodeSampler(data, **given).fingerprint(episodes)

    data = unequal()
    prints = [
        of(data), of(data, seed=1), of(data, way=3), of(data, shot=2), of(data, episodes=6),
        of(data, query=2), of(toy([0] * 4 + [1] * 9 + [2] * 30 + [3] * 7)), of(data, rotate=True),
    ]  # fmt: skip
    assert len(set(prints)) == len(prints)
    assert of(unequal()) == of(data)


def test_a_draw_is_arrays_of_numbers() -> None:
    drawn = EpisodeSampler(unequal(), way=2, shot=1, query=1).draw(0)
    for part in PARTS:
        assert isinstance(getattr(drawn, part), ndarray)
        assert getattr(drawn, part).dtype == np.int64


def test_another_form_has_the_same_episodes() -> None:
    sampler = EpisodeSampler(unequal(), way=2, shot=1, query=1)
    other = sampler.at(3, 8)
    assert same(sampler.draw(3), other.draw(3))
    assert other.episode(3).support.x.shape == (2, 3, 8, 8)
    assert sampler.episode(3).support.x.shape == (2, 1, 4, 4)
    assert sampler.describe() == other.describe()


def test_a_mixture_draws_from_all() -> None:
    samplers = [
        EpisodeSampler(toy([0] * 9 + [1] * 9, name=name), way=2, shot=shot, query=1)
        for name, shot in (("one", 1), ("two", 2), ("three", 3))
    ]
    mixture = Mixture(samplers, seed=4)
    assert isinstance(mixture, EpisodeSource)
    sizes = [len(mixture.episode(i).support) // 2 for i in range(300)]
    assert all(abs(sizes.count(shot) - 100) < 40 for shot in (1, 2, 3))
    again = Mixture(samplers, seed=4)
    assert [len(again.episode(i).support) // 2 for i in reversed(range(300))] == sizes[::-1]
    assert [part["data"] for part in mixture.describe()["mixture"]] == ["one", "two", "three"]
    where = sizes.index(2)
    assert torch.equal(mixture.episode(where).support.x, samplers[1].episode(where).support.x)


# Episodes of masks: repeatable, by patient, every class in the support.


def _data(groups=None, shows=None):
    """Eight images of three classes; `present_classes` says on which images class 2 is seen."""
    base = toys.dataset(2, shots=4)
    y = torch.zeros(8, 16, 16, dtype=torch.uint8)
    y[:, :4] = 1
    y[list(range(8) if shows is None else shows), 8:] = 2
    known = base.groups if groups is None else torch.tensor(groups)
    labels, task = ("0", "1", "2"), Segmentation(3)
    return replace(base, y=y, labels=labels, groups=known, task=task)


def test_an_episode_of_images_is_a_function_of_seed_and_number():
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
