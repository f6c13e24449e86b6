"""What boxes say of sites, cell by cell."""

import torch

from medshot.tasks.boxes import labelled, mean_sizes, middles

BOXES = torch.tensor([[[0.0, 0.0, 0.5, 0.5, 1], [0.5, 0.5, 1.0, 1.0, 0], [-1, -1, -1, -1, -1]]])


def test_centres_rims_and_the_rest():
    where, label = labelled(BOXES, 2, (8, 8))
    kinds = torch.full((64,), -1)
    kinds[where] = label
    expected = torch.full((8, 8), 4)
    expected[:4, :4], expected[4:, 4:] = 3, 2
    expected[2, 2], expected[6, 6] = 1, 0
    assert torch.equal(kinds.view(8, 8), expected)


def test_two_classes_with_one_centre_both_have_a_site():
    same = BOXES[:, :1].repeat(1, 2, 1)
    same[0, 1, 4] = 0
    where, label = labelled(same, 2, (8, 8))
    assert where[label == 0].tolist() == where[label == 1].tolist() == [18]


def test_the_middles_of_boxes_and_their_mean_sizes():
    where, label = middles(BOXES, (8, 8))
    assert (where.tolist(), label.tolist()) == ([18, 54], [1, 0])
    torch.testing.assert_close(mean_sizes(BOXES, 2).exp(), torch.full((2, 2), 0.5))
