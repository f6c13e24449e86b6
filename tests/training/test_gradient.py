"""Threads that share out a meta-batch give the gradient of the plain loop, and always the same."""

import pytest
import torch

import medshot
from medshot.core.errors import ConfigError
from medshot.data.episodes import EpisodeSampler
from medshot.learners import learners
from medshot.training.config import TrainConfig
from medshot.training.gradient import Gradient, Workers, choose_vmap
from medshot.training.objective import MetaObjective, SelfDistillation
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
    loss = Workers(MetaObjective(shared), count).backward([[e] for e in episodes])
    slow = sum(plain.meta_loss(episode) for episode in episodes) / len(episodes)
    slow.backward()
    assert loss == pytest.approx(slow.item(), abs=1e-5)
    for ours, theirs in zip(shared.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-3)


def test_the_same_bits_each_time():
    found = []
    for _ in range(4):
        learner = _learner("maml")
        Workers(MetaObjective(learner), 2).backward([[e] for e in _episodes()])
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
        Workers(MetaObjective(_learner("prototypical", norm="batch")), 2)


# All tasks in one pass (`torch.func`) give what one task after the other gives.


BOTH = [name for name, kind in learners().items() if kind.vectorizes]


def _float64(name, norm="group", **options):
    torch.manual_seed(0)
    encoder = medshot.encoder("conv4", channels=1, size=16, width=8, norm=norm)
    return medshot.build(name, encoder=encoder, **options).double()


def _episodes64(ways=(3, 3, 3)):
    found = []
    for i, way in enumerate(ways):
        episode = EpisodeSampler(blobs().at(1, 16), way=way, shot=2, query=2).episode(i)
        like = torch.zeros((), dtype=torch.float64)
        parts = episode.support.to(like), episode.query.to(like)
        found.append(medshot.Episode(episode.task, *parts))
    return found


def _gradient(name, episodes, norm, **way):
    learner = _float64(name, norm=norm)
    loss = Gradient(MetaObjective(learner), **way).backward(episodes, len(episodes))
    zero = [torch.zeros_like(p) if p.grad is None else p.grad for p in learner.parameters()]
    return loss, zero


def _chosen(learner, device="cpu", terms=(), **options):
    objective = MetaObjective(learner, terms)
    return choose_vmap(objective, TrainConfig(**options), torch.device(device))


def test_most_learners_have_both_paths():
    assert {"maml", "fomaml", "anil", "meta-sgd", "prototypical", "ridge", "in-context"} <= {*BOTH}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("norm", ["group", "transductive"])
@pytest.mark.parametrize("ways", [(3, 3, 3), (2, 3, 2)], ids=["alike", "of two shapes"])
def test_loss_and_gradient_are_those_of_the_loop_in_float64(name, norm, ways):
    loop, one_pass = (_gradient(name, _episodes64(ways), norm, one_pass=on) for on in (False, True))
    assert one_pass[0] == pytest.approx(loop[0], rel=1e-6)
    for ours, theirs in zip(one_pass[1], loop[1], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_training_in_one_pass_learns_the_same():
    options = {"way": 3, "shot": 1, "query": 2, "steps": 3, "meta_batch": 4, "val_episodes": 2}
    runs = [
        medshot.train(_float64("maml").float(), blobs(), vectorise=on, **options)
        for on in (False, True)
    ]
    loop, one_pass = ([p.detach() for p in run.learner.parameters()] for run in runs)
    torch.testing.assert_close(loop, one_pass, atol=1e-3, rtol=1e-2)


def test_the_device_chooses_and_the_user_may():
    learner = _float64("maml")
    assert not _chosen(learner)
    assert _chosen(learner, "cuda")
    assert _chosen(learner, vectorise=True)
    assert not _chosen(learner, "cuda", vectorise=False)


@pytest.mark.parametrize(
    ("learner", "options"),
    [
        (_float64("svm"), {}),
        (_float64("prototypical", norm="batch"), {}),
        (_float64("maml", remat=True), {}),
        (_float64("maml"), {"bf16": True}),
        (_float64("maml"), {"channels_last": True}),
        (_float64("maml"), {"workers": 2}),
        (_float64("maml"), {"terms": [SelfDistillation(_float64("ntm"))]}),
    ],
    ids=["svm", "batch norm", "remat", "bf16", "channels last", "workers", "teacher"],
)
def test_what_cannot_go_in_one_pass_says_so_and_is_looped_over_on_a_gpu(learner, options):
    assert not _chosen(learner, "cuda", **options)
    with pytest.raises(ConfigError, match="several tasks in one pass"):
        _chosen(learner, vectorise=True, **options)
