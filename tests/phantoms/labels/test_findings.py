""""""

from itertools import combinations, pairwise

import numpy as np
import pytest

from medshot.phantoms.fields import Map
from medshot.phantoms.labels import findings
from medshot.phantoms.labels.findings import (
    FINDINGS,
    KINDS,
    Appearance,
    draw_appearances,
    most_classes,
    short_names,
)

KIND = pytest.mark.parametrize("kind", KINDS)


def differences(a: Appearance, b: Appearance) -> int:
    return sum(x != y for x, y in zip(a.words, b.words, strict=True))


@KIND
def test_classes_of_a_task_differ_in_two_attributes(kind: str) -> None:
    for seed in range(20):
        looks = draw_appearances(KINDS[kind].axes, 4, np.random.default_rng(seed))
        assert min(differences(a, b) for a, b in combinations(looks, 2)) >= 2


@KIND
def test_every_combination_is_a_class_when_all_are_asked_for(kind: str) -> None:
    axes = KINDS[kind].axes
    looks = draw_appearances(axes, most_classes(axes), np.random.default_rng(0))
    assert len({look.words for look in looks}) == most_classes(axes)
    assert len(set(short_names(looks))) == len(looks)


@KIND
def test_a_wider_task_keeps_its_first_classes(kind: str) -> None:
    axes = KINDS[kind].axes
    narrow = draw_appearances(axes, 2, np.random.default_rng(7))
    assert draw_appearances(axes, 6, np.random.default_rng(7))[:2] == narrow


@KIND
def test_values_lie_within_their_level(kind: str) -> None:
    axes = KINDS[kind].axes
    levels = [{level.word: level for level in axis} for axis in axes]
    for look in draw_appearances(axes, 6, np.random.default_rng(1)):
        for named, word, value in zip(levels, look.words, look.values, strict=True):
            assert named[word].low <= value <= named[word].high


@KIND
def test_levels_of_an_attribute_leave_a_gap(kind: str) -> None:
    for axis in KINDS[kind].axes:
        bounds = sorted({(level.low, level.high) for level in axis})
        assert all(left[1] < right[0] for left, right in pairwise(bounds))


def test_names_say_no_more_than_it_takes() -> None:
    looks = [
        Appearance(("round", "dense"), (0.0, 1.0)),
        Appearance(("round", "lucent"), (0.0, -1.0)),
    ]
    assert short_names(looks) == ("dense", "lucent")


def every_look(kind: str) -> list[Appearance]:
    return draw_appearances(KINDS[kind].axes, 12, np.random.default_rng(0))


@pytest.mark.parametrize("kind", FINDINGS)
def test_a_finding_changes_part_of_the_picture(kind: str) -> None:
    for look in every_look(kind):
        change = KINDS[kind].draw(look, np.random.default_rng(1), 64)
        assert change.shape == (64, 64)
        assert change.dtype == np.float32
        touched = float((np.abs(change) > 0.2).mean())
        assert 0.01 < touched < 0.7, look


@pytest.mark.parametrize("kind", FINDINGS)
def test_a_finding_is_another_in_another_patient(kind: str) -> None:
    for look in every_look(kind):
        one, other = (KINDS[kind].draw(look, np.random.default_rng(seed), 64) for seed in (1, 2))
        assert float(np.abs(one - other).max()) > 0.5, look


def mean_over_patients(kind: str, look: Appearance) -> float:
    draw = KINDS[kind].draw
    return float(np.mean([draw(look, np.random.default_rng(i), 64).sum() for i in range(8)]))


@pytest.mark.parametrize("kind", FINDINGS)
def test_dense_adds_and_lucent_takes_away(kind: str) -> None:
    for look in every_look(kind):
        assert (mean_over_patients(kind, look) > 0.0) == ("dense" in look.words), look


def roughness(mask: Map) -> float:
    """Return the squared outline over the area: 4 pi for a disc, more for a jagged outline."""
    inside = mask > 0.5
    steps = sum(np.count_nonzero(np.diff(inside, axis=axis)) for axis in (0, 1))
    return steps**2 / np.count_nonzero(inside)


def test_spiculated_outlines_are_more_jagged_than_lobulated_than_round() -> None:
    bumps = {"round": 0.0, "lobulated": 0.25, "spiculated": 1.0}
    jagged = [
        np.mean(
            [
                roughness(
                    findings.draw_lesion(
                        Appearance((word, "dense", "large", "single"), (bump, 1.0, 0.36, 1.0)),
                        np.random.default_rng(seed),
                        96,
                    )
                )
                for seed in range(8)
            ]
        )
        for word, bump in bumps.items()
    ]
    assert jagged[0] < jagged[1] < jagged[2]


def test_hollow_shapes_have_an_empty_middle() -> None:
    for outline in ("oval", "wedge", "crescent", "branched", "spindle", "winding"):
        solid, hollow = (
            findings.draw_shape(
                Appearance((outline, fill, "dense"), (0.0, 0.0, 1.0)), np.random.default_rng(3), 96
            )
            for fill in ("solid", "hollow")
        )
        assert hollow.sum() < 0.8 * solid.sum(), outline


def test_the_grain_of_a_texture_has_its_direction_and_scale() -> None:
    def steps(grain: str, bumps: float, stretch: float) -> tuple[float, float]:
        look = Appearance(("cloudy", "", grain, ""), (0.0, bumps, stretch, 0.0))
        fields = [findings.draw_texture(look, np.random.default_rng(seed), 64) for seed in range(6)]
        down, across = (np.mean([np.abs(np.diff(f, axis=a)) for f in fields]) for a in (0, 1))
        return float(down), float(across)

    level, upright = steps("level", 20.0, 2.6), steps("upright", 20.0, 2.6)
    assert level[0] > 1.4 * level[1]
    assert upright[1] > 1.4 * upright[0]
    assert sum(steps("even", 21.0, 1.0)) > 1.3 * sum(steps("even", 11.0, 1.0))
