"""Every kind of task is met by the commands, and an unknown one is refused."""

import pytest

import toys
from medshot.core.errors import ConfigError
from medshot.core.task import TASKS
from medshot.nn.encoder import encoder
from medshot.presenters import kind_called
from medshot.presenters.base import KINDS


def test_every_kind_of_task_has_its_file():
    kind_called("classification")
    plain = {kind.removesuffix("-3d").removesuffix("-multimodal") for kind in KINDS}
    assert plain == set(TASKS)


@pytest.mark.parametrize("name", [*sorted(TASKS), "segmentation-3d"])
def test_what_is_tried_first_does_that_kind_of_task(name: str):
    kind, task = kind_called(name), toys.task_of(name.removesuffix("-3d"), 2)
    for learner in (*kind.candidates().candidates, kind.baseline(channels=1, size=16)):
        learner.check(task)
    assert encoder(kind.encoder).keeps_grid == task.on_grid


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="no task called 'segment'"):
        kind_called("segment")
