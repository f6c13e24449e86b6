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


def test_of_a_long_list_the_similar_names_are_listed_where_there_are_some():
    names = [f"block{i}_pw" for i in range(1, 13)] + [f"other-{i}" for i in range(20)]
    said = str(unknown("block13_pw", names, kind="layer"))
    assert "Did you mean 'block" in said
    assert "block12_pw" in said
    assert "other-3" not in said
    assert "other-3" in str(unknown("zzz", names, kind="layer"))
