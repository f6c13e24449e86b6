"""Filters, against SciPy's derivatives of a Gaussian."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medshot.core.errors import ConfigError
from medshot.nn import encoder


def test_the_derivatives_are_scipys() -> None:
    image = torch.rand(1, 1, 40, 40)
    made = encoder("filters", channels=1, size=40, scales=[2.0], scaling="unit")
    found = made(image)[0].double().numpy()
    plain = image[0, 0].double().numpy()
    options = {"sigma": 2.0, "mode": "nearest", "truncate": 3.0}
    d = {
        order: ndimage.gaussian_filter(plain, order=order, **options) * 2.0 ** sum(order)
        for order in ((0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0))
    }
    hessian = np.stack([d[2, 0], d[1, 1], d[1, 1], d[0, 2]], -1).reshape(40, 40, 2, 2)
    low, high = np.moveaxis(np.linalg.eigvalsh(hessian), -1, 0)
    slope = np.hypot(d[0, 1], d[1, 0])
    expected = np.stack([plain, d[0, 0], slope, d[2, 0] + d[0, 2], high, low])
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_it_tells_how_many_features_it_gives_and_keeps_the_grid() -> None:
    made = encoder("filters", channels=3, size=16, scales=[1.0, 2.0])
    assert made(torch.rand(2, 3, 16, 16)).shape == (2, made.n_features, 16, 16)
    assert made.keeps_grid


def test_a_constant_image_has_neither_slope_nor_curvature() -> None:
    made = encoder("filters", channels=1, size=16, scaling="unit")
    found = made(torch.full((1, 1, 16, 16), 0.5))[0]
    assert found[[0, 1]].allclose(torch.tensor(0.5), atol=1e-5)
    assert found[2:6].abs().max() < 1e-4


@pytest.mark.parametrize("scales", [[], [0.0], [1.0, -2.0]])
def test_scales_that_cannot_be_are_refused(scales: list[float]) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        encoder("filters", scales=scales)


def test_a_pixel_has_the_features_that_it_has_in_a_larger_image():
    x = torch.rand(1, 1, 60, 70)
    filters = encoder("filters", channels=1, size=16, scales=(1.0, 2.0), scaling="unit")
    inner = filters(x[:, :, 10:50, 10:50])[:, :, 8:-8, 8:-8]
    torch.testing.assert_close(inner, filters(x)[:, :, 18:42, 18:42])
    assert filters.begins_with_image
    assert torch.equal(filters(x)[:, :1], x)
    assert not encoder("filters").begins_with_image
