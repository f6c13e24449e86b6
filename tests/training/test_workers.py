"""Threads that share out a meta-batch give the gradient of the plain loop, and always the same."""

import pytest
import torch

import medshot
from medshot.core.errors import ConfigError
from medshot.data.episodes import EpisodeSampler
from medshot.training.objective import Objective
from medshot.training.workers import Workers
from toys.training import blobs


def _learner(name, norm="group"):
    torch.manual_seed(0)
    encoder = medshot.encoder("conv4", channels=1, size=16, width=8, norm=norm)
    return medshot.build(name, encoder=encoder).train()


def _episodes():
    sampler = EpisodeSampler(blobs().at(1, 16), way=3, shot=1, query=2)
    return [sampler.episode(i) for i in range(5)]


@pytest.mark.parametrize("name", ["prototypical", "maml"])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_gradient_and_the_loss_are_those_of_the_loop(name, count):
    shared, plain, episodes = _learner(name), _learner(name), _episodes()
    loss = Workers(Objective(shared), count).backward([[e] for e in episodes])
    slow = sum(plain.meta_loss(episode) for episode in episodes) / len(episodes)
    slow.backward()
    assert loss == pytest.approx(slow.item(), abs=1e-5)
    for ours, theirs in zip(shared.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-3)


def test_the_same_bits_each_time():
    found = []
    for _ in range(4):
        learner = _learner("maml")
        Workers(Objective(learner), 2).backward([[e] for e in _episodes()])
        found.append([p.grad for p in learner.parameters()])
    for again in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], again, strict=True))


def test_training_with_workers_learns_the_same_and_leaves_the_threads_alone():
    before = torch.get_num_threads()
    options = {"way": 3, "shot": 1, "query": 2, "steps": 3, "meta_batch": 4, "val_episodes": 2}
    runs = [medshot.train(_learner("maml"), blobs(), workers=n, **options) for n in (1, 2)]
    assert torch.get_num_threads() == before
    plain, shared = ([p.detach() for p in run.learner.parameters()] for run in runs)
    torch.testing.assert_close(plain, shared, atol=1e-3, rtol=1e-2)


def test_statistics_that_threads_would_mix_are_refused():
    with pytest.raises(ConfigError, match="workers=1"):
        Workers(Objective(_learner("prototypical", norm="batch")), 2)
