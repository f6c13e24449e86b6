"""Patterns of instruments and files."""

import numpy as np
import pytest

from medshot.data.corruptions import degraded
from medshot.data.corruptions.artifacts import APART, KINDS

RNG = np.random.default_rng(0)
IMAGE = RNG.random((2, 40, 48)) / 2 + 0.25


def test_stripes_are_one_offset_a_row():
    added = KINDS["stripes"](IMAGE, 1.0, RNG) - IMAGE
    assert np.ptp(added, axis=2).max() < 1e-12
    assert added[0].std() == pytest.approx(0.1, rel=0.4)


def test_a_ghost_is_a_faint_copy():
    dot = np.zeros((1, 20, 20))
    dot[0, 4, 7] = 1
    found = KINDS["ghost"](dot, 1.0, RNG)
    assert found[0, 4, 7] == pytest.approx(0.6)
    assert found[0, 4 + APART, 7] == pytest.approx(0.4)
    assert np.count_nonzero(found) == 2


def test_compression_errs_the_more_the_stronger_it_is():
    errors = [np.abs(KINDS["jpeg"](IMAGE, s, RNG) - IMAGE).mean() for s in (0.0, 0.5, 1.0)]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_all_stays_in_range():
    found = degraded(np.round(IMAGE), "stripes", 1.0, RNG)
    assert found.min() >= 0
    assert found.max() <= 1
