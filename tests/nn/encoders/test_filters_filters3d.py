"""Filters for volumes, against SciPy's derivatives of a Gaussian."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medshot.core.errors import ConfigError
from medshot.nn import encoder


def test_the_derivatives_are_scipys() -> None:
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
def test_scales_that_cannot_be_are_refused(scales: list[float]) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        encoder("filters3d", scales=scales)
