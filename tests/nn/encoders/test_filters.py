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


# Filters for volumes, against SciPy's derivatives of a Gaussian.


def test_the_derivatives_of_volumes_are_scipys() -> None:
    made = encoder("filters3d", scales=[2.0], scaling="unit")
    volume = torch.rand(1, 1, 20, 22, 24)
    found, plain = made(volume)[0].double().numpy(), volume[0, 0].double().numpy()

    def derived(*order: int) -> np.ndarray:
        seen = ndimage.gaussian_filter(plain, 2.0, order=order, mode="nearest", truncate=3.0)
        return seen * 2.0 ** sum(order)

    hessian = np.empty((*plain.shape, 3, 3))
    for i in range(3):
        for j in range(3):
            hessian[..., i, j] = derived(*(int(a == i) + int(a == j) for a in range(3)))
    eigenvalues = np.linalg.eigvalsh(hessian)
    uneven = np.sqrt(((eigenvalues - eigenvalues.mean(-1, keepdims=True)) ** 2).sum(-1))
    slope = np.sqrt(sum(derived(*np.eye(3, dtype=int)[i]) ** 2 for i in range(3)))
    expected = np.stack([plain, derived(0, 0, 0), slope, eigenvalues.sum(-1), uneven])
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_a_constant_volume_has_neither_slope_nor_curvature() -> None:
    found = encoder("filters3d", scaling="unit")(torch.full((1, 1, 9, 9, 9), 0.5))[0]
    assert found[:2].allclose(torch.tensor(0.5), atol=1e-5)
    assert found[2:5].abs().max() < 1e-4


@pytest.mark.parametrize("scales", [[], [0.0]])
def test_scales_for_volumes_that_cannot_be_are_refused(scales: list[float]) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        encoder("filters3d", scales=scales)
