"""Cells that are written alike."""

import math

import pytest

from medshot.data.tables.cells import (
    clean,
    is_doubtful,
    is_missing,
    loose_key,
    patient_code,
    patient_numbers,
    several_spellings,
    spelled_alike,
    spelled_as,
    with_points,
)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("  a  b\t", "a b"),
        ("\ufeffa\u00a0b\u200b", "a b"),
        ("O\u0308dem", "Ödem"),
        ("a\nb", "a b"),
        ("'a'", "a"),
        ("\u201ca b\u201d", "a b"),
        ("a's", "a's"),
        ("''", "''"),
        ("Benign", "Benign"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
    ],
)
def test_invisible_differences_go(cell, text):
    assert clean(cell) == text


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN", "NA", "N/A", "#N/A", "NULL", "<NA>", "?"])
def test_missing(cell):
    assert is_missing(cell)
    assert not is_doubtful(cell)


@pytest.mark.parametrize("cell", ["None", "unknown", "-", "\u2014", "Missing"])
def test_doubtful(cell):
    assert is_doubtful(cell)
    assert not is_missing(cell)
    assert patient_code(cell) == ""


@pytest.mark.parametrize("cell", ["0", "no", "normal", "nano", "+", "a-"])
def test_neither(cell):
    assert not is_missing(cell)
    assert not is_doubtful(cell)
    assert patient_code(cell) == cell


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("P07", "p07"),
        ("P07", "P 7"),
        ("P-07", "P_7"),
        ("7", "007"),
        ("7", "7.0"),
        ("\uff17", "7"),
        ("\u0667", "7"),
        ("\uff21", "a"),
        ("STRASSE", "straße"),
        ("2021-03-04", "2021-3-4"),
        ("a/1", "A.01"),
        ("0", "00"),
    ],
)
def test_alike(one, other):
    assert loose_key(one) == loose_key(other)
    assert patient_numbers([other, "", one]) == [0, -1, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1-23", "12-3"),
        ("1.2", "12"),
        ("10", "1.0"),
        ("7.1", "7.10"),
        ("-1", "1"),
        ("ER+", "ER-"),
        ("ER-", "ER"),
        ("<5", ">5"),
        ("+", "-"),
        ("P70", "P7"),
        ("1.2.840.1", "1.2.84.01"),
        ("12345678901234567890123456789012", "12345678901234567890123456789013"),
    ],
)
def test_not_alike(one, other):
    assert loose_key(one) != loose_key(other)


def test_patients_are_numbered_in_the_order_of_their_codes():
    assert patient_numbers(["b", "", "a", "B", "c"]) == [0, -1, 1, 0, 2]
    assert patient_numbers(["b2", "b10", "a"]) == [2, 1, 0]


def test_spelled_alike():
    groups = spelled_alike(["p7", "P07", "q", "P07", "r 1", "R1"])
    assert groups == [["P07", "p7"], ["R1", "r 1"]]
    assert "2 patient(s)" in several_spellings(groups)
    assert "'P07' and 'p7'" in several_spellings(groups)


def test_spelled_as_the_labels_of_a_model():
    assert spelled_as(["Flu", "01"], ["flu", "1", "cold"]) == ["Flu", "01", "cold"]
    assert spelled_as(["Flu"], ["Flu", "flu"]) == ["Flu", "flu"]
    assert spelled_as(["Flu", "flu"], ["FLU", "Flu"]) == ["FLU", "Flu"]


@pytest.mark.parametrize(
    ("value", "code"),
    [(None, ""), (math.nan, ""), (7, "7"), (7.0, "7.0"), (b"p7", "p7"), ("  p7 ", "p7")],
)
def test_patients_of_arrays(value, code):
    assert patient_code(value) == code


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["3,5", "2"], ["3.5", "2"]),
        (["3,5", "1,234"], ["3.5", "1.234"]),
        (["0,123"], ["0.123"]),
        (["1,234", "5"], ["1,234", "5"]),
        (["1,234", "5.5"], ["1,234", "5.5"]),
        (["1,234.5"], ["1,234.5"]),
        (["3,5", "2.5"], ["3,5", "2.5"]),
        (["\u22123,5", "\uff13"], ["-3.5", "3"]),
        (["a, b", "3,5"], ["a, b", "3,5"]),
    ],
)
def test_a_comma_is_a_point_where_it_can_be_nothing_else(cells, numbers):
    assert with_points(cells) == numbers
