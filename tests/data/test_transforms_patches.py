"""Large volumes are cut so that what is marked stays, and small ones are left alone."""

import torch

from medshot.core.episode import Examples
from medshot.data.transforms import patches


def _volume(*sides: int, marked: tuple[int, ...] | None) -> Examples:
    y = torch.zeros(1, *sides, dtype=torch.int64)
    if marked:
        y[(0, *marked)] = 1
    return Examples(torch.rand(1, 1, *sides), y, torch.tensor([7]))


def test_small_volumes_are_left_alone():
    examples = _volume(8, 6, 4, marked=(1, 1, 1))
    assert patches(examples, side=8) is examples


def test_the_marked_part_is_kept_with_as_many_others_and_the_patient():
    examples = _volume(200, 20, 20, marked=(150, 3, 3))
    found = patches(examples, side=96)
    assert found.x.shape[2:] == (96, 20, 20)
    shows = (found.y > 0).flatten(1).any(1)
    assert 1 <= (~shows).sum() <= shows.sum()
    assert found.groups.tolist() == [7] * len(found)


def test_what_nobody_has_labelled_is_left_out():
    examples = _volume(192, 20, 20, marked=(3, 3, 3))
    examples.y[0, 96:] = -1
    found = patches(examples, side=96)
    assert ((found.y >= 0).flatten(1).any(1)).all()
