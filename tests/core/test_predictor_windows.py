"""Windows: what is seen of a large volume is what would be seen of it whole."""

import torch

from medshot.core.predictor import sliding_window


def test_what_looks_at_single_voxels_answers_as_on_the_whole():
    x = torch.rand(2, 1, 9, 14, 5)
    twice = sliding_window(lambda part: torch.cat([part, 2 * part], 1), x, side=6)
    torch.testing.assert_close(twice, torch.cat([x, 2 * x], 1))


def test_no_window_is_larger_than_asked_and_a_small_volume_is_one():
    seen = []

    def note(part: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(part.shape[2:]))
        return part

    sliding_window(note, torch.rand(1, 1, 9, 14, 5), side=6)
    assert max(max(shape) for shape in seen) <= 6
    assert len(seen) > 4
    seen.clear()
    sliding_window(note, torch.rand(1, 1, 6, 6, 6), side=6)
    assert seen == [(6, 6, 6)]


def test_where_windows_overlap_the_middle_of_each_weighs_more():
    def border(part: torch.Tensor) -> torch.Tensor:
        wrong = torch.ones_like(part)
        wrong[:, :, 1:-1, 1:-1, 1:-1] = 0
        return wrong

    found = sliding_window(border, torch.zeros(1, 1, 24, 8, 8), side=12)
    inner = found[0, 0, :, 4, 4]
    assert inner[[0, -1]].eq(1).all()
    assert inner[2:-2].max() < 0.3
