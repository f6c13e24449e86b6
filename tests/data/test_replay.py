"""Tasks in turn, and the past replayed."""

import pytest
import torch

import medshot
from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.data.episodes import EpisodeSampler
from medshot.data.replay import ReplayBuffer, SequentialTasks
from medshot.training.sources import seen
from toys.training import blobs


class Numbered:
    """Its episodes hold their own number, after `first`."""

    def __init__(self, name="", first=0):
        self.name, self.first = name, first

    def episode(self, i):
        one = Examples(torch.full((1, 1), float(self.first + i)), torch.zeros(1, dtype=torch.long))
        return medshot.Episode(medshot.Classification(2), one, one)

    def describe(self):
        return {"data": self.name}


def _numbers(source, count):
    return [int(source.episode(i).support.x) for i in range(count)]


def _sampler(seed):
    return EpisodeSampler(blobs(seed=seed).at(1, 16), way=3, shot=1, query=1)


def test_each_source_has_its_turn_and_the_last_goes_on():
    source = SequentialTasks([Numbered(), Numbered(first=100)], 3)
    assert _numbers(source, 6) == [0, 1, 2, 103, 104, 105]


def test_replayed_episodes_are_of_the_past_about_as_often_as_asked_and_evenly():
    source = ReplayBuffer(Numbered(), part=0.4)
    numbers = _numbers(source, 4000)
    again = [(i, j) for i, j in enumerate(numbers) if j != i]
    assert all(0 <= j < i for i, j in again)
    assert len(again) / 4000 == pytest.approx(0.4, abs=0.03)
    assert sum(j / i for i, j in again) / len(again) == pytest.approx(0.5, abs=0.03)


def test_the_same_number_is_the_same_episode():
    one, two = ReplayBuffer(Numbered(), seed=1), ReplayBuffer(Numbered(), seed=1)
    assert _numbers(one, 50) == _numbers(two, 50)


def test_a_run_knows_what_it_has_seen_and_goes_on(tmp_path):
    torch.manual_seed(0)
    data = ReplayBuffer(SequentialTasks([_sampler(0), _sampler(1)], 2))
    assert {part["hash"] for part in seen(data)} == {blobs(seed=i).hash for i in (0, 1)}
    encoder = medshot.encoder("conv4", channels=1, size=16, width=8)
    learner = medshot.build("prototypical", encoder=encoder)
    options = {"val": _sampler(2), "out": tmp_path, "val_episodes": 2, "steps": 4}
    medshot.train(learner, data, **options)
    run = medshot.train(learner, data, **{**options, "steps": 6})
    assert run.history[-1]["step"] == 6
    assert "blobs" in run.learner.origin
    assert run.about["cite"] == [ReplayBuffer.reference]


@pytest.mark.parametrize("part", [0.0, 1.0, -1.0, float("nan")])
def test_a_part_that_cannot_be(part):
    with pytest.raises(ConfigError, match="replay probability"):
        ReplayBuffer(Numbered(), part=part)


def test_no_source_or_no_episode():
    with pytest.raises(ConfigError, match="at least"):
        SequentialTasks([], 3)
    with pytest.raises(ConfigError, match="at least"):
        SequentialTasks([Numbered()], 0)
