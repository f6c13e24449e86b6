"""Normalised cross-correlation against NumPy's correlation coefficient, window by window."""

import numpy as np
import torch

from medshot.learners.baselines.template import correlation, middle


def test_it_is_the_correlation_coefficient_of_each_window():
    rng = torch.Generator().manual_seed(0)
    z, template = torch.rand(2, 3, 9, 8, generator=rng), torch.rand(3, 3, 5, generator=rng)
    found = correlation(z, template)
    assert found.shape == (2, 1, 9, 8)
    wide = np.pad(z.numpy(), ((0, 0), (0, 0), (1, 1), (2, 2)), mode="edge")
    for i, y, x in ((0, 0, 0), (0, 4, 4), (1, 8, 7), (1, 3, 1)):
        window = wide[i, :, y : y + 3, x : x + 5]
        expected = np.corrcoef(window.ravel(), template.numpy().ravel())[0, 1]
        np.testing.assert_allclose(found[i, 0, y, x], expected, atol=1e-5)


def test_where_all_is_flat_nothing_is_found():
    flat, template = torch.full((1, 1, 8, 8), 0.7), torch.rand(1, 3, 3)
    assert correlation(flat, template).abs().max() == 0


def test_the_middle_of_a_picture():
    x = torch.arange(25.0).view(5, 5)
    assert middle(x, 1, 3).tolist() == [[11, 12, 13]]
