"""The descent is on the loss and half the pull times the squared distance to the start."""

import pytest
import torch

import toys
from medshot.core.errors import ConfigError, TrainingError
from medshot.learners.registry import build
from medshot.stages.finetune.fit import Descent
from medshot.stages.finetune.methods import get_method
from medshot.stages.finetune.trainable import TrainableCopy
from medshot.tasks import Classification

TASK = Classification(3)


def _start():
    episode = toys.episode(TASK)
    learner = build("finetune", encoder=toys.Projection(), steps=1)
    return learner.adapt(episode.support, TASK), episode


def test_it_is_adam_on_loss_and_distance():
    predictor, episode = _start()
    freed = TrainableCopy(predictor, get_method("all"))
    Descent(lr=0.01, pull=0.5, batch=100).run(freed, episode.support, TASK, 4)
    slow = [t.clone().requires_grad_() for t in predictor.freeze().state_dict().values()]
    names, starts = list(predictor.state_dict()), [t.detach().clone() for t in slow]
    optimizer = torch.optim.Adam(slow, lr=0.01)
    for _ in range(4):
        weights = dict(zip(names, slow, strict=True))
        z = episode.support.x.flatten(1) @ weights["encoder.1.weight"].T
        scores = (z + weights["encoder.1.bias"]) @ weights["weight"] + weights["bias"]
        distance = sum((p - q).square().sum() for p, q in zip(slow, starts, strict=True))
        loss = torch.nn.functional.cross_entropy(scores, episode.support.y) + 0.25 * distance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, tensor in freed.settled().state_dict().items():
        torch.testing.assert_close(tensor, dict(zip(names, slow, strict=True))[name].detach())


@pytest.mark.parametrize("way", ["lora", "all"])
def test_the_stronger_the_pull_the_nearer_it_stays(way):
    predictor, episode = _start()
    far = []
    for pull in (0.0, 1.0, 100.0):
        freed = TrainableCopy(predictor, get_method(way))
        Descent(lr=0.01, pull=pull, batch=100).run(freed, episode.support, TASK, 60)
        far.append(freed.distance().item())
    assert far[0] > 2 * far[1] > 4 * far[2] > 0


def test_a_loss_that_is_not_finite_is_named():
    predictor, episode = _start()
    support = episode.support
    support.x[0, 0, 0, 0] = torch.inf
    with pytest.raises(TrainingError, match="nan at step 1"):
        Descent(lr=0.01, pull=0.0, batch=100).run(
            TrainableCopy(predictor, get_method("head")), support, TASK, 1
        )


@pytest.mark.parametrize(
    "wrong", [{"pull": -1.0}, {"pull": float("nan")}, {"batch": 0}], ids=["pull", "nan", "batch"]
)
def test_numbers_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match="pull="):
        Descent(**{"lr": 0.1, "pull": 0.1, "batch": 1, **wrong})
