"""As many wrong pixels as there should be, black or white in all channels."""

import numpy as np
import pytest

from medshot.data.corruptions.noise import MOST, impulses


def test_a_share_of_the_pixels_is_black_or_white():
    image = np.full((3, 100, 100), 0.5)
    found = impulses(image, 1.0, np.random.default_rng(0))
    wrong = (found != 0.5).all(0)
    assert (found != 0.5).any(0).sum() == wrong.sum()
    assert wrong.mean() == pytest.approx(MOST, abs=0.02)
    assert set(np.unique(found[:, wrong])) == {0.0, 1.0}
