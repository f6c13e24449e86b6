"""Features of images and of sites."""

import pytest
import torch
from torch import nn

import toys
from medshot.core.errors import ShapeError
from medshot.nn.heads import Linear, features, labeled_sites, on_grid, sites


def test_half_precision_ends_at_the_features():
    z = features(toys.Projection().bfloat16(), toys.images().bfloat16(), unit=False)
    assert z.dtype == torch.float32


def test_images_without_a_grid_are_their_own_sites():
    z = torch.randn(4, 3)
    torch.testing.assert_close(sites(z), z, rtol=0, atol=0)
    torch.testing.assert_close(on_grid(z, z), z, rtol=0, atol=0)


def test_sites_are_rows_and_go_back_to_their_places():
    z = torch.randn(2, 5, 3, 4, 6)
    rows = sites(z)
    assert rows.shape == (2 * 3 * 4 * 6, 5)
    torch.testing.assert_close(rows[6 * 4 * 3 + 6 + 2], z[1, :, 0, 1, 2], rtol=0, atol=0)
    torch.testing.assert_close(on_grid(rows, z), z, rtol=0, atol=0)


def test_a_head_on_an_encoder_that_keeps_the_grid_answers_every_pixel():
    encoder, weight, bias = nn.Conv2d(1, 5, 3, padding=1), torch.randn(5, 3), torch.randn(3)
    x = toys.images()
    found = Linear(encoder, weight, bias)(x)
    slow = torch.einsum("nfhw,fk->nkhw", encoder(x), weight) + bias[:, None, None]
    torch.testing.assert_close(found, slow)
    direction = torch.nn.functional.normalize(encoder(x), dim=1)[1, :, 4, 2]
    unit = Linear(encoder, weight, bias, unit=True)(x)
    torch.testing.assert_close(unit[1, :, 4, 2], direction @ weight + bias)


def test_of_images_as_targets_every_site_is_a_row_of_their_channels():
    z, y = torch.rand(2, 5, 3, 4), torch.rand(2, 3, 3, 4)
    rows, wanted = labeled_sites(z, y)
    assert (rows.shape, wanted.shape) == ((24, 5), (24, 3))
    assert torch.equal(rows[13], z[1, :, 0, 1])
    assert torch.equal(wanted[13], y[1, :, 0, 1])
    with pytest.raises(ShapeError, match="one of 3 x 5"):
        labeled_sites(z, torch.rand(2, 3, 3, 5))
