"""Features of voxels."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medshot.nn.volume_maps import (
    N_PLACE,
    SCALES,
    VolumeMaps,
    at_shape,
    blur,
    coarsened,
    filled_box,
    place,
    resized,
    standardized,
    uncropped,
    volumes_of,
    working_voxel,
)


def test_derivatives_are_those_of_a_gaussian():  # of either sign
    x = torch.randn(20, 22, 24, generator=torch.Generator().manual_seed(0))
    found = VolumeMaps((1.0, 1.0, 1.0)).derived(x[None], 1)
    widest = found[-4:]  # blur, along x, along y, along z
    for i, order in enumerate([(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]):
        wanted = ndimage.gaussian_filter(
            x.numpy(), SCALES[-1], order, mode="nearest", truncate=3
        ) * SCALES[-1] ** sum(order)
        assert abs(np.corrcoef(widest[i].numpy().ravel(), wanted.ravel())[0, 1]) > 0.999
        ratio = widest[i].std() / wanted.std()
        assert ratio == pytest.approx(1, abs=0.05)


def test_number_of_features():
    maps = VolumeMaps((1.0, 1.0, 1.0))
    assert maps(torch.rand(5, 6, 7)).shape == (1 + 10 * len(SCALES) + N_PLACE, 5, 6, 7)
    assert maps.context(torch.rand(3, 5, 6, 7)).shape == (2 + 2 * 4 * len(SCALES), 5, 6, 7)


def test_blur_is_in_voxels_of_each_axis():
    x = torch.zeros(1, 15, 15, 15)
    x[0, 7, 7, 7] = 1
    wide = blur(x, (0.4, 2.0, 2.0))[0]
    assert wide[7, 9, 7] == pytest.approx(float(wide[7, 7, 9]))
    assert wide[8, 7, 7] < 0.1 * wide[7, 8, 7]


def test_the_filled_box_is_without_black_planes():
    x = torch.zeros(6, 7, 8)
    assert filled_box(x) == (slice(None),) * 3
    x[1:4, 2, 3:8] = 0.5
    assert x[filled_box(x)].shape == (3, 1, 5)


def test_the_finest_axes_are_coarsened_first():
    assert coarsened((20, 20, 20), (5.0, 1.0, 1.0), 10**6) == (5.0, 1.0, 1.0)
    z, y, x = coarsened((20, 200, 200), (5.0, 1.0, 1.0), 100_000)
    assert z == 5.0
    assert 1 < y == x < 5
    assert np.prod(resized((20, 200, 200), (5.0, 1.0, 1.0), (z, y, x))) <= 100_000
    z, y, x = coarsened((256, 256, 120), (1.0, 1.0, 1.0), 2**19)
    assert z == y == x


def test_images_and_numbers_that_are_none():
    x = torch.full((2, 3, 4, 5), torch.nan)
    assert volumes_of(x).shape == (2, 1, 4, 5)
    assert not volumes_of(x).any()
    assert volumes_of(torch.rand(2, 1, 3, 4, 5)).shape == (2, 3, 4, 5)


def test_constant_volumes_and_single_slices():
    assert standardized(torch.full((3, 3, 3), 0.7)).abs().max() < 1e-3
    assert not place(torch.zeros(1, 4, 4))[0].any()


def test_shapes_both_ways():
    x = torch.rand(2, 8, 6, 4)
    assert at_shape(x, (4, 3, 2)).mean() == pytest.approx(float(x.mean()))
    assert at_shape(x, (9, 3, 8)).shape == (2, 9, 3, 8)


def test_what_was_cropped_is_background_outside():
    volume = torch.zeros(6, 7, 8)
    volume[1:4, 2:6, 3:7] = 1.0
    box = filled_box(volume)
    found = uncropped(torch.full((2, 3, 4, 4), 5.0), box, volume.shape, 9.0)
    assert found.shape == (2, 6, 7, 8)
    assert (found[(slice(None), *box)] == 5).all()
    assert found[0, 0, 0, 0] == 9
    assert found[1, 0, 0, 0] == 0
    assert working_voxel(volume[None], (1.0, 1.0, 1.0), 1000) == ((1.0, 1.0, 1.0), [3, 4, 4])
