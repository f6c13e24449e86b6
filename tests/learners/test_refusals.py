"""What every learner refuses, with an error of ours that says why."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

import toys
from medshot.core.episode import Episode
from medshot.core.errors import DataError, TaskError
from medshot.core.learner import Learner
from medshot.core.registry import called
from medshot.core.task import TASKS, Task

NOTHING = r"(no image in|no box in|in no mask of|all images of) the support"


def test_support_with_a_class_absent(case):
    learner, ep = _with_classes(*case)
    with pytest.raises(DataError, match=r"Class(es| number\(s\)) \[1\]"):
        learner.adapt(toys.without(ep.support, 1), ep.task)


def test_support_of_one_class(case):
    learner, ep = _with_classes(*case)
    support = toys.without(toys.without(ep.support, 1), 2)
    if ep.task.at_centers:  # one class is told from all that is no object
        assert learner.adapt(support, toys.task_of(ep.task.kind, 1))(ep.query.x).isfinite().all()
        return
    with pytest.raises(DataError, match="only one class"):
        learner.adapt(support, replace(ep.task, n_outputs=1))


def test_support_of_nothing(case):
    learner, ep = case
    with pytest.raises(DataError, match=NOTHING):
        learner.adapt(ep.support[:0], ep.task)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_support_that_is_not_finite(case, bad):
    learner, ep = case
    x = ep.support.x.clone()
    x[0, 0, 0, 0] = bad
    with pytest.raises(DataError, match="not finite"):
        learner.adapt(replace(ep.support, x=x), ep.task)


def test_examples_without_a_task(case):
    learner, ep = case
    with pytest.raises(TaskError, match="give a task"):
        learner.adapt(ep.support)


def test_another_task_by_its_name(case, divination):
    learner, ep = case
    if isinstance(divination, learner.supports):
        return  # it asks a task for its loss alone, so it takes any
    with pytest.raises(TaskError, match=f"{re.escape(called(learner))} does .*, not divination"):
        learner.adapt(ep.support, divination)


@pytest.fixture
def divination() -> Iterator[Task]:
    """A kind of task that no learner does."""

    class Divination(Task):
        kind = "divination"

        def check(self, target):
            pytest.fail("to be refused before the targets are looked at")

        loss = encode = decode = to_prediction = check

    yield Divination(3)
    del TASKS["divination"]


def _with_classes(learner: Learner, ep: Episode) -> tuple[Learner, Episode]:
    if not toys.has_classes(ep.task):
        pytest.skip("no classes: tests/tasks says what such a support is refused for")
    return learner, ep
