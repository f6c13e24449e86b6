"""All tasks in one pass (`torch.func`) give what one task after the other gives."""

import pytest
import torch

import medshot
from medshot.core.errors import ConfigError
from medshot.data.episodes import EpisodeSampler
from medshot.learners import learners
from medshot.training.auxiliary_losses import SelfDistillation
from medshot.training.config import TrainConfig
from medshot.training.gradient import Gradient, choose_vmap
from medshot.training.objective import Objective
from toys.training import blobs

BOTH = [name for name, kind in learners().items() if kind.vectorizes]


def _learner(name, norm="group", **options):
    torch.manual_seed(0)
    encoder = medshot.encoder("conv4", channels=1, size=16, width=8, norm=norm)
    return medshot.build(name, encoder=encoder, **options).double()


def _episodes(ways=(3, 3, 3)):
    found = []
    for i, way in enumerate(ways):
        episode = EpisodeSampler(blobs().at(1, 16), way=way, shot=2, query=2).episode(i)
        like = torch.zeros((), dtype=torch.float64)
        parts = episode.support.to(like), episode.query.to(like)
        found.append(medshot.Episode(episode.task, *parts))
    return found


def _gradient(name, episodes, norm, **way):
    learner = _learner(name, norm=norm)
    loss = Gradient(Objective(learner), **way).backward(episodes, len(episodes))
    zero = [torch.zeros_like(p) if p.grad is None else p.grad for p in learner.parameters()]
    return loss, zero


def _chosen(learner, device="cpu", terms=(), **options):
    objective = Objective(learner, terms)
    return choose_vmap(objective, TrainConfig(**options), torch.device(device))


def test_most_learners_have_both_paths():
    assert {"maml", "fomaml", "anil", "meta-sgd", "prototypical", "ridge", "in-context"} <= {*BOTH}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("norm", ["group", "transductive"])
@pytest.mark.parametrize("ways", [(3, 3, 3), (2, 3, 2)], ids=["alike", "of two shapes"])
def test_loss_and_gradient_are_those_of_the_loop_in_float64(name, norm, ways):
    loop, one_pass = (_gradient(name, _episodes(ways), norm, one_pass=on) for on in (False, True))
    assert one_pass[0] == pytest.approx(loop[0], rel=1e-6)
    for ours, theirs in zip(one_pass[1], loop[1], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_training_in_one_pass_learns_the_same():
    options = {"way": 3, "shot": 1, "query": 2, "steps": 3, "meta_batch": 4, "val_episodes": 2}
    runs = [
        medshot.train(_learner("maml").float(), blobs(), vectorise=on, **options)
        for on in (False, True)
    ]
    loop, one_pass = ([p.detach() for p in run.learner.parameters()] for run in runs)
    torch.testing.assert_close(loop, one_pass, atol=1e-3, rtol=1e-2)


def test_the_device_chooses_and_the_user_may():
    learner = _learner("maml")
    assert not _chosen(learner)
    assert _chosen(learner, "cuda")
    assert _chosen(learner, vectorise=True)
    assert not _chosen(learner, "cuda", vectorise=False)


@pytest.mark.parametrize(
    ("learner", "options"),
    [
        (_learner("svm"), {}),
        (_learner("prototypical", norm="batch"), {}),
        (_learner("maml", remat=True), {}),
        (_learner("maml"), {"bf16": True}),
        (_learner("maml"), {"channels_last": True}),
        (_learner("maml"), {"workers": 2}),
        (_learner("maml"), {"terms": [SelfDistillation(_learner("ntm"))]}),
    ],
    ids=["svm", "batch norm", "remat", "bf16", "channels last", "workers", "teacher"],
)
def test_what_cannot_go_in_one_pass_says_so_and_is_looped_over_on_a_gpu(learner, options):
    assert not _chosen(learner, "cuda", **options)
    with pytest.raises(ConfigError, match="several tasks in one pass"):
        _chosen(learner, vectorise=True, **options)
