"""A portfolio is built greedily, each configuration adding most to those before it."""

from itertools import combinations

import numpy as np
import pytest

from medshot.presenters import kind_called
from medshot.selection.space import Configuration, Space, Table, stored, table_of

ONES = tuple(Configuration(name) for name in "abcd")
SETS, SHOTS = ("one", "one", "two", "two", "three"), (5, 20, 5, 20, 5)
SCORES = np.array(
    [
        [0.70, 0.90, 0.10, 0.80],
        [0.10, 0.10, 0.90, 0.10],
        [0.75, 0.10, 0.90, 0.80],
        [0.10, 0.10, 0.90, 0.10],
        [0.70, 0.90, 0.10, 0.80],
    ]
)
TABLE = Table(ONES, SETS, SHOTS, SCORES)


def _names(found: list[Configuration]) -> str:
    return "".join(one.learner for one in found)


def test_first_what_is_good_everywhere_then_what_adds_to_it():
    assert _names(TABLE.portfolio(4, shot=5)) == "dbca"
    assert _names(TABLE.portfolio(2, shot=5)) == "db"


def test_a_second_is_never_worse_than_any_other_beside_the_first():
    lost = SCORES[[0, 2, 4]].max(1, keepdims=True) - SCORES[[0, 2, 4]]
    first, second = ("abcd".index(name) for name in _names(TABLE.portfolio(2, shot=5)))
    pairs = [lost[:, list(pair)].min(1).mean() for pair in combinations(range(4), 2)]
    ours = lost[:, [first, second]].min(1).mean()
    assert ours == min(lost[:, [first, other]].min(1).mean() for other in range(4))
    assert ours <= sorted(pairs)[2]


def test_rows_of_the_nearest_number_of_images_are_looked_at():
    assert _names(TABLE.portfolio(1, shot=30, without=["three"])) == "c"
    assert _names(TABLE.portfolio(1, shot=9, without=["three"])) == "d"
    assert _names(TABLE.portfolio(1, shot=0.5, without=["three"])) == "d"


def test_of_no_set_nothing_is_known():
    assert TABLE.portfolio(3, shot=5, without=["one", "two", "three"]) == []


def test_a_table_is_read_from_its_json():
    rows = [{"set": "one", "shot": 5, "scores": [0.5, 0.6]}]
    told = [{"learner": "a", "encoder": "b", "settings": {"c": 1}}, {"learner": "d"}]
    table = table_of({"configurations": told, "rows": rows})
    assert table.configurations[0].name == "a on b"
    assert _names(table.portfolio(1, shot=5)) == "d"


@pytest.mark.parametrize("kind", sorted(stored()))
def test_what_is_stored_can_be_searched_from(kind: str):
    table, families = stored()[kind], kind_called(kind).families
    space = Space(*families)
    assert all(space.parameters(one) is not None for one in table.configurations)
    assert table.scores.shape == (len(table.sets), len(table.configurations))
    assert np.isfinite(table.scores).all()
    assert len(table.portfolio(8, shot=10)) == 8
