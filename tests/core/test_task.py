"""Kinds of task are known by name as soon as they are written."""

import pytest

from medshot.core.errors import ConfigError
from medshot.core.task import TASKS, is_share, task_of
from medshot.tasks import Classification


def test_a_task_is_found_by_its_kind():
    assert task_of("classification", 4) == Classification(4)
    assert task_of("classification", 4) != Classification(5)


def test_an_unknown_kind_gets_a_suggestion():
    with pytest.raises(ConfigError, match=r"no task called 'clasification'. Did you mean"):
        task_of("clasification", 2)


def test_every_kind_is_under_its_own_name():
    assert all(cls.kind == kind for kind, cls in TASKS.items())


def test_a_metric_with_a_unit_is_no_share():
    assert is_share("Dice")
    assert not is_share("PSNR (dB)")
