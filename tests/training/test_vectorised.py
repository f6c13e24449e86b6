"""All tasks in one pass (`torch.func`) give what one task after the other gives."""

import pytest
import torch

import medshot
from medshot.core.errors import ConfigError
from medshot.data.sample import EpisodeSampler
from medshot.learners import learners
from medshot.training.device import choose_vectorised
from medshot.training.gradient import Gradient
from medshot.training.objective import Objective
from training.toys import blobs

BOTH = [name for name, kind in learners().items() if kind.vectorises]


def _learner(name, **options):
    torch.manual_seed(0)
    encoder = medshot.encoder("conv4", channels=1, size=16, width=8, **options)
    return medshot.build(name, encoder=encoder).double()


def _episodes(ways=(3, 3, 3)):
    found = []
    for i, way in enumerate(ways):
        episode = EpisodeSampler(blobs().at(1, 16), way=way, shot=2, query=2).episode(i)
        like = torch.zeros((), dtype=torch.float64)
        parts = episode.support.to(like), episode.query.to(like)
        found.append(medshot.Episode(episode.task, *parts))
    return found


def _gradient(name, episodes, **way):
    learner = _learner(name)
    loss = Gradient(Objective(learner), **way).backward(episodes)
    return loss, [p.grad for p in learner.parameters()]


def test_most_learners_have_both_paths():
    assert {"maml", "fomaml", "anil", "meta-sgd", "prototypical", "ridge", "in-context"} <= {*BOTH}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("ways", [(3, 3, 3), (2, 3, 2)], ids=["alike", "of two shapes"])
def test_loss_and_gradient_are_those_of_the_loop_in_float64(name, ways):
    loop, one_pass = (
        _gradient(name, _episodes(ways), vectorised=vectorised) for vectorised in (False, True)
    )
    assert one_pass[0] == pytest.approx(loop[0], rel=1e-6)
    for ours, theirs in zip(one_pass[1], loop[1], strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
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
    learner, cpu, gpu = _learner("maml"), torch.device("cpu"), torch.device("cuda")
    assert not choose_vectorised(None, learner, cpu)
    assert choose_vectorised(None, learner, gpu)
    assert choose_vectorised(True, learner, cpu)
    assert not choose_vectorised(False, learner, gpu)


@pytest.mark.parametrize(("name", "norm"), [("svm", "group"), ("prototypical", "batch")])
def test_what_cannot_go_in_one_pass_says_so_and_is_looped_over_on_a_gpu(name, norm):
    learner = _learner(name, norm=norm)
    assert not choose_vectorised(None, learner, torch.device("cuda"))
    with pytest.raises(ConfigError, match="several tasks in one pass"):
        choose_vectorised(True, learner, torch.device("cpu"))
