"""Boxes to maps and back, against a slow formula and themselves."""

import math

import pytest
import torch

from medshot.tasks.boxes import MOST, NO_BOX, SPREAD, find, overlaps, paint

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
