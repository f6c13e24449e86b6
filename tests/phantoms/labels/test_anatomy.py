from collections.abc import Callable

import numpy as np
import pytest

from medshot.phantoms.labels import anatomy
from medshot.phantoms.labels.anatomy import Body

BODIES = [
    anatomy.torso,
    anatomy.head,
    anatomy.chest,
    anatomy.layers,
    anatomy.skin,
    anatomy.section,
]
Draw = Callable[[np.random.Generator, int], Body]


@pytest.mark.parametrize("draw", BODIES)
def test_tissue_keeps_to_its_scale(draw: Draw) -> None:
    for seed in range(5):
        tissue, site = draw(np.random.default_rng(seed), 48)
        assert tissue.shape == site.shape == (48, 48)
        assert tissue.dtype == site.dtype == np.float32
        assert tissue.min() > -0.3
        assert tissue.max() < 1.4
        assert tissue.std() > 0.03


@pytest.mark.parametrize("draw", BODIES)
def test_every_patient_is_another(draw: Draw) -> None:
    one = draw(np.random.default_rng(0), 48).tissue
    same = draw(np.random.default_rng(0), 48).tissue
    other = draw(np.random.default_rng(1), 48).tissue
    np.testing.assert_array_equal(one, same)
    assert float(np.abs(one - other).mean()) > 0.02


@pytest.mark.parametrize("draw", BODIES)
def test_there_is_room_for_a_finding_in_the_middle(draw: Draw) -> None:
    site = draw(np.random.default_rng(2), 48).site
    assert 0.0 <= float(site.min()) <= float(site.max()) <= 1.0
    assert float(site[16:32, 16:32].mean()) > 0.9


@pytest.mark.parametrize("draw", [anatomy.torso, anatomy.head])
def test_no_finding_lies_in_the_air_around_a_slice(draw: Draw) -> None:
    tissue, site = draw(np.random.default_rng(4), 48)
    assert float(site[tissue < 0.01].mean()) < 0.2
