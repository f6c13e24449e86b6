"""Turning to memory and back, against a slow walk over all voxels."""

import itertools

import numpy as np
import pytest

from medshot.data.io.volume import Grid, flaw, spacing_of
from toys.volumes import ORIENTATIONS, SHAPE, affine_of, ramp


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_every_orientation_is_turned_to_head_back_left_and_back_again(codes: str) -> None:
    stored, affine = ramp(), affine_of(codes)
    grid = Grid(SHAPE, affine)
    turned = grid.turn(stored)
    corner, along_z, along_y, along_x = (
        grid.turned @ (*index, 1) for index in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    )
    assert (along_z - corner)[2] > 0  # to the head
    assert (along_y - corner)[1] < 0  # to the back
    assert (along_x - corner)[0] < 0  # to the left
    for index in itertools.product(*map(range, turned.shape)):
        place = grid.turned @ (*index, 1)
        i, j, k = np.rint(np.linalg.solve(affine, place))[:3].astype(int)
        assert turned[index] == stored[i, j, k]
    np.testing.assert_array_equal(grid.turn_back(turned), stored)


def test_an_oblique_grid_keeps_its_angle() -> None:
    angle = np.radians(20)
    affine = affine_of("RAS")
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    grid = Grid(SHAPE, turn @ affine)
    assert spacing_of(grid.turned) == pytest.approx((3.0, 2.0, 0.5))
    assert flaw(grid.affine) is None
    assert grid.turn(ramp()).shape == (7, 6, 5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({(0, 0): 0.0}, "0 x 2 x 3 mm apart"),
        ({(0, 0): 500.0}, "500 x 2 x 3 mm apart"),
        ({(0, 0): np.nan}, "not finite"),
        ({(1, 2): 1.0}, "18.4 degrees off a right angle"),
    ],
)
def test_what_cannot_be_used(change: dict[tuple[int, int], float], said: str) -> None:
    affine = affine_of("RAS")
    for place, value in change.items():
        affine[place] = value
    assert said in str(flaw(affine))
