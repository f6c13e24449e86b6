"""Boxes to maps and back, against a slow formula and themselves."""

import math

import pytest
import torch

from medshot.tasks.boxes import (
    MOST,
    NO_BOX,
    SPREAD,
    find,
    labelled,
    mean_sizes,
    middles,
    overlaps,
    paint,
)

BOXES = torch.tensor(
    [
        [[0.1, 0.1, 0.4, 0.3, 0], [0.5, 0.5, 0.9, 0.8, 1], [0.6, 0.1, 0.7, 0.3, 0]],
        [[0.2, 0.6, 0.5, 0.9, 1], [-1.0, -1, -1, -1, -1], [-1.0, -1, -1, -1, -1]],
    ]
)


def test_heat_is_a_bell_as_wide_as_the_box_with_its_size_at_the_centre():
    heat, sizes = paint(BOXES, 2, (20, 40), torch.zeros(()))
    assert heat.shape == (2, 2, 20, 40)
    row, column = int(0.2 * 20), int(0.25 * 40)
    assert heat[0, 0, row, column] == 1
    away = math.exp(-((3 / (0.3 * 40 * SPREAD)) ** 2) / 2)
    assert heat[0, 0, row, column + 3] == pytest.approx(away, rel=1e-4)
    assert heat[1, 0].max() == 0
    torch.testing.assert_close(sizes[0, :, row, column], torch.tensor([0.3, 0.2]))


def test_what_is_painted_is_found_again():
    found = find(*paint(BOXES, 2, (64, 64), torch.zeros(())), least=0.5)
    assert found.shape == (2, MOST, 6)
    for claims, boxes in zip(found, BOXES, strict=True):
        real = boxes[boxes[:, 4] != NO_BOX]
        kept = claims[claims[:, 4] != NO_BOX]
        assert len(kept) == len(real)
        share = overlaps(kept[:, :4], real[:, :4])
        assert (share.amax(0) > 0.8).all()
        assert (kept[share.argmax(0), 4] == real[:, 4]).all()


def test_of_boxes_that_overlap_the_best_of_each_class_is_kept():
    heat = torch.zeros(1, 2, 16, 16)
    heat[0, 0, 8, 6], heat[0, 0, 8, 8], heat[0, 1, 8, 6] = 0.7, 0.9, 0.6
    found = find(heat, torch.full((1, 2, 16, 16), 0.8), least=0.1)[0]
    assert found[:2, 5].tolist() == pytest.approx([0.9, 0.6])
    assert found[:3, 4].tolist() == [0, 1, NO_BOX]


def test_overlap_is_the_share_of_the_cells_that_are_in_both():
    a, b = torch.tensor([[0.0, 0.0, 0.5, 0.5]]), torch.tensor([[0.25, 0.0, 0.75, 1.0]])
    y, x = torch.meshgrid(*[torch.arange(100) / 100] * 2, indexing="ij")
    cells = [(x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3]) for box in (a[0], b[0])]
    expected = (cells[0] & cells[1]).sum() / (cells[0] | cells[1]).sum()
    assert overlaps(a, b).item() == pytest.approx(expected.item(), abs=1e-6)


# What boxes say of sites, cell by cell.


TWO_BOXES = torch.tensor([[[0.0, 0.0, 0.5, 0.5, 1], [0.5, 0.5, 1.0, 1.0, 0], [-1, -1, -1, -1, -1]]])


def test_centres_rims_and_the_rest():
    where, label = labelled(TWO_BOXES, 2, (8, 8))
    kinds = torch.full((64,), -1)
    kinds[where] = label
    expected = torch.full((8, 8), 4)
    expected[:4, :4], expected[4:, 4:] = 3, 2
    expected[2, 2], expected[6, 6] = 1, 0
    assert torch.equal(kinds.view(8, 8), expected)


def test_two_classes_with_one_centre_both_have_a_site():
    same = TWO_BOXES[:, :1].repeat(1, 2, 1)
    same[0, 1, 4] = 0
    where, label = labelled(same, 2, (8, 8))
    assert where[label == 0].tolist() == where[label == 1].tolist() == [18]


def test_the_middles_of_boxes_and_their_mean_sizes():
    where, label = middles(TWO_BOXES, (8, 8))
    assert (where.tolist(), label.tolist()) == ([18, 54], [1, 0])
    torch.testing.assert_close(mean_sizes(TWO_BOXES, 2).exp(), torch.full((2, 2), 0.5))
