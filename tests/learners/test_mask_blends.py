"""Which blend of scores is taken."""

import torch

from medshot.learners.mask_blends import BLENDS, best_blend, blended, image_dice

MEMBERS = len(BLENDS[0])


def parts_of(y, right: int):
    """Only one of the parts is right; the others mark the opposite."""
    sign = 2.0 * y.float() - 1
    parts = -sign[:, None, None].repeat(1, 1, MEMBERS, 1, 1)
    parts[:, 0, right] = 3 * sign
    return parts


def squares(n: int):
    y = torch.zeros(n, 16, 16, dtype=torch.long)
    for i in range(n):
        y[i, 2 : 6 + i, 3:9] = 1
    return y


def test_a_blend_is_a_weighted_sum_with_zero_for_background():
    parts = torch.rand(2, 1, MEMBERS, 4, 4)
    blend = torch.arange(MEMBERS).float()
    found = blended(parts, blend)
    assert not found[:, 0].any()
    assert torch.allclose(found[:, 1], torch.einsum("nmij,m->nij", parts[:, 0], blend))


def test_dice_of_each_image():
    y = squares(2)
    logits = torch.stack([torch.zeros(2, 16, 16), y.float() - 0.5], 1)
    logits[1, 1] *= -1
    assert image_dice(logits, y).round(3).tolist() == [1, 0]


def test_the_member_that_is_right_on_images_left_out_is_taken():
    y = squares(4)
    for member in (2, 4):
        best, dice = best_blend(parts_of(y, member), y, halves=False)
        assert BLENDS[best][member] == max(BLENDS[best])
        assert dice[best].mean() == 1


def test_the_first_is_taken_where_all_are_right():
    y = squares(3)
    parts = (2.0 * y.float() - 1)[:, None, None].expand(-1, 1, MEMBERS, -1, -1)
    assert best_blend(parts, y, halves=False)[0] == 0
    assert best_blend(parts, y, halves=True)[0] == 0


def test_halves_of_an_image_choose_among_few():
    y = squares(1)
    assert best_blend(parts_of(y, 0), y, halves=True)[0] == 1
    assert best_blend(parts_of(y, 4), y, halves=True)[0] == 0
