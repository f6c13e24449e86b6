from itertools import combinations, pairwise

import numpy as np
import pytest

from medshot.phantoms.labels.findings import KINDS, Look, draw_looks, most_classes, short_names

KIND = pytest.mark.parametrize("kind", KINDS)


def differences(a: Look, b: Look) -> int:
    return sum(x != y for x, y in zip(a.words, b.words, strict=True))


@KIND
def test_classes_of_a_task_differ_in_two_attributes(kind: str) -> None:
    for seed in range(20):
        looks = draw_looks(KINDS[kind].axes, 4, np.random.default_rng(seed))
        assert min(differences(a, b) for a, b in combinations(looks, 2)) >= 2


@KIND
def test_every_combination_is_a_class_when_all_are_asked_for(kind: str) -> None:
    axes = KINDS[kind].axes
    looks = draw_looks(axes, most_classes(axes), np.random.default_rng(0))
    assert len({look.words for look in looks}) == most_classes(axes)
    assert len(set(short_names(looks))) == len(looks)


@KIND
def test_a_wider_task_keeps_its_first_classes(kind: str) -> None:
    axes = KINDS[kind].axes
    narrow = draw_looks(axes, 2, np.random.default_rng(7))
    assert draw_looks(axes, 6, np.random.default_rng(7))[:2] == narrow


@KIND
def test_values_lie_within_their_level(kind: str) -> None:
    axes = KINDS[kind].axes
    levels = [{level.word: level for level in axis} for axis in axes]
    for look in draw_looks(axes, 6, np.random.default_rng(1)):
        for named, word, value in zip(levels, look.words, look.values, strict=True):
            assert named[word].low <= value <= named[word].high


@KIND
def test_levels_of_an_attribute_leave_a_gap(kind: str) -> None:
    for axis in KINDS[kind].axes:
        bounds = sorted({(level.low, level.high) for level in axis})
        assert all(left[1] < right[0] for left, right in pairwise(bounds))


def test_names_say_no_more_than_it_takes() -> None:
    looks = [Look(("round", "dense"), (0.0, 1.0)), Look(("round", "lucent"), (0.0, -1.0))]
    assert short_names(looks) == ("dense", "lucent")
