"""The table of names: what adds to it, what it refuses, and what it imports."""

import subprocess
import sys
from copy import copy

import pytest

from medshot.core.errors import ConfigError
from medshot.core.registry import Registry


class Thing:
    """Something to be found by name."""


class Other:
    """Another."""


def _table() -> Registry[type]:
    table: Registry[type] = Registry("thing")
    table["second"], table["first"] = Other, Thing
    return table


def test_names_are_found_and_listed_in_order():
    table = _table()
    assert table.find("first") is Thing
    assert list(table.all()) == ["first", "second"]


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(ConfigError, match=r"no thing called 'frist'\. Did you mean 'first'"):
        _table().find("frist")


def test_a_second_module_cannot_take_a_name_but_the_same_may_define_it_again():
    table = _table()
    table["first"] = Other
    assert table.find("first") is Other
    with pytest.raises(ConfigError, match=r"Two things are called 'first', in \S+ and elsewhere:"):
        table.add("first", Thing, module="elsewhere")
    assert table.find("first") is Other
    del table["first"]
    table.add("first", Thing, module="elsewhere")
    assert table.find("first") is Thing


def test_a_copy_is_another_table():
    table = _table()
    other = copy(table)
    other["third"] = Thing
    assert "third" not in table
    assert isinstance(other, Registry)


def test_the_files_of_a_package_are_imported_when_it_is_asked_and_not_before():
    code = (
        "from medshot.core.task import TASKS\n"
        "print(len(TASKS))\n"
        "print(TASKS.find('ordinal').__module__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "medshot.tasks.ordinal"]
