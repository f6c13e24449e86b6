"""An answer tile by tile is the answer for the whole."""

import torch
import torch.nn.functional as F

from medshot.tasks.enhancement import MARGIN, in_tiles

SEEN: list[int] = []


def blurred(x):
    SEEN.append(x[0, 0].numel())
    return F.avg_pool2d(F.pad(x, [5] * 4, mode="replicate"), 11, 1)


def test_tiles_that_overlap_give_what_the_whole_gives():
    x = torch.rand(2, 151, 97)
    SEEN.clear()
    found = in_tiles(blurred, x, tile=40)
    assert max(SEEN) <= (40 + 2 * MARGIN) ** 2 < x[0].numel()
    torch.testing.assert_close(found, blurred(x[None])[0])


def test_a_small_image_is_asked_at_once():
    SEEN.clear()
    in_tiles(blurred, torch.rand(1, 60, 50), tile=40)
    assert SEEN == [3000]
