"""One tree of errors, and the suggestion for an unknown name."""

from collections.abc import Iterable

import pytest

from medshot.core import errors
from medshot.core.errors import ConfigError, DataError, LeakError, MedshotError, unknown


def test_every_error_of_the_file_is_in_the_tree_and_in_its_picture():
    classes = [e for e in vars(errors).values() if isinstance(e, type) and e is not Iterable]
    assert all(issubclass(e, MedshotError) for e in classes)
    assert [e.__name__ for e in classes if e.__name__ not in errors.__doc__] == []
    assert issubclass(LeakError, DataError)


@pytest.mark.parametrize(
    ("name", "hint"), [("maml+", " Did you mean 'maml'?"), ("zzz", "")], ids=["near", "far"]
)
def test_an_unknown_name_gets_the_nearest_one_and_the_list(name, hint):
    error = unknown(name, ["prototypical", "maml"], kind="learner")
    assert isinstance(error, ConfigError)
    known = "Known: maml, prototypical."
    assert str(error) == f"There is no learner called {name!r}.{hint} {known}"


def test_a_long_list_is_left_out_where_a_name_is_near():
    names = [f"learner-{i}" for i in range(40)]
    assert str(unknown("learner-", names, kind="x")).endswith("?")
    assert "learner-39" in str(unknown("zzz", names, kind="x"))
