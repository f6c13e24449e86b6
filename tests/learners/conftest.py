"""Every registered learner with every task that it supports, found by themselves."""

import pytest

import toys
from medshot.core.episode import Episode
from medshot.core.learner import Learner
from medshot.core.task import TASKS
from medshot.learners import build, learners

PAIRS = [
    pytest.param((name, toys.task_of(kind)), id=f"{name}-{kind}")
    for name, learner in learners().items()
    for kind, cls in TASKS.items()
    if issubclass(cls, learner.supports)
]
TRAINABLE = [pair for pair in PAIRS if learners()[pair.values[0][0]].trainable]


@pytest.fixture(params=PAIRS)
def case(request: pytest.FixtureRequest) -> tuple[Learner, Episode]:
    """A learner on a small network, and an episode of a task that it supports."""
    name, task = request.param
    return build(name, encoder=toys.encoder(task)), toys.episode(task)


@pytest.fixture(params=TRAINABLE)
def trainable(request: pytest.FixtureRequest) -> tuple[Learner, Episode]:
    """The same for the learners that can be meta-trained, on a matrix that trains fast."""
    name, task = request.param
    return build(name, encoder=toys.matrix(task)), toys.episode(task)
