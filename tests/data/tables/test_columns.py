"""Columns of a table as numbers."""

from pathlib import Path

import pytest

from medshot.core.errors import DataError
from medshot.data.tables.columns import Column, check_columns, column_of, row_of

TABLE = Path("labels.csv")


def test_numbers_are_standardised_and_words_are_one_of_several():
    age = column_of("age", ["40", "60", "", "NaN"], TABLE)
    sex = column_of("sex", ["F", "M", "?", "F"], TABLE)
    assert (age.mean, age.deviation, sex.words) == (50, 10, ("F", "M"))
    found = row_of([age, sex], {"table.age": "65", "table.sex": "M"})
    assert found[0, :4].tolist() == [1.5, 0, 1, 0]
    assert found[1, :4].tolist() == [1, 1, 1, 0]


def test_what_is_unknown_is_zero_and_known_to_be_so():
    columns = [Column("age", (), 50, 10), Column("sex", ("F", "M"))]
    found = row_of(columns, {"table.age": "", "table.sex": "F"})
    assert found[:, :3].tolist() == [[0, 1, 0], [0, 1, 1]]
    assert row_of(columns, {"table.age": "old", "table.sex": "X"}) is None
    assert row_of(columns, {}) is None


def test_a_number_far_away_is_cut_off():
    assert Column("age", (), 0, 1).values("1e6") == [10]
    assert Column("age", (), 0, 1).values("1e300") is None


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["", "nan"], "table.x is empty"),
        (["1e15", "2"], "above 1e12"),
        ([f"word {i}" for i in range(11)], "11 different words"),
    ],
)
def test_what_is_no_column_is_named(cells, said):
    with pytest.raises(DataError, match=said):
        column_of("x", cells, TABLE)


def test_a_constant_column_is_zero():
    assert column_of("x", ["3", "3"], TABLE).values("3") == [0]


def test_too_many_columns_are_refused():
    with pytest.raises(DataError, match="33 numbers, but there is room for 32"):
        check_columns([Column(str(i)) for i in range(33)], TABLE)
