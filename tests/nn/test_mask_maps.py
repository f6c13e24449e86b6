"""Features of pixels for masks."""

import pytest
import torch

from medshot.nn.encoder import encoder
from medshot.nn.mask_maps import (
    MaskMaps,
    blur,
    coordinates,
    fine_grid,
    half_grid,
    has_depths,
    principal_components,
)


@pytest.fixture(scope="module")
def maps():
    torch.manual_seed(0)
    with torch.no_grad():
        return MaskMaps(encoder("mobilenet"))(torch.rand(2, 3, 128, 128))


def test_depths_are_twice_as_fine_as_at_the_size_of_the_image(maps):
    assert maps.pixels.shape == (2, 25, 128, 128)
    assert [z.shape[2] for z in maps.depths] == [128, 64, 32, 16]
    assert maps.objects().shape == (2, 128 + 256 + 512, 32, 32)


def test_components_are_white(maps):
    found = principal_components(maps)(maps)
    first = found[0].movedim(1, -1).flatten(0, -2)
    assert first.mean(0).abs().max() < 0.1
    assert (first.std(0) - 1).abs().max() < 0.1
    assert [z.shape[1:] for z in found] == [
        (16, 128, 128),
        (24, 64, 64),
        (32, 32, 32),
        (32, 16, 16),
    ]


def test_grids_of_pixels_and_of_half_the_sides(maps):
    found = principal_components(maps)(maps)
    assert fine_grid(maps, found).shape == (2, 25 + 16 + 24 + 32, 128, 128)
    assert half_grid(maps, found).shape == (2, 25 + 16 + 24 + 32 + 32 + 6, 64, 64)


def test_some_of_the_images(maps):
    some = maps.of(torch.tensor([1]))
    assert torch.equal(some.pixels[0], maps.pixels[1])
    assert torch.equal(some.depths[2][0], maps.depths[2][1])


def test_a_gray_image_has_no_chroma():
    made = MaskMaps(encoder("mobilenet", channels=1))
    assert not made.pixel_features(torch.rand(1, 1, 128, 128))[:, 21:].any()


def test_another_encoder_gives_its_one_map():
    made = MaskMaps(encoder("unet", size=32, width=8, depth=1), 32)
    assert not has_depths(made.encoder)
    assert [z.shape for z in made(torch.rand(1, 3, 32, 32)).depths] == [(1, 8, 32, 32)]


def test_blur_keeps_the_mean_of_a_constant():
    assert torch.allclose(blur(torch.full((1, 2, 20, 30), 0.4), 2.0), torch.tensor(0.4))


def test_coordinates_go_from_edge_to_edge():
    found = coordinates(torch.zeros(1, 1, 5, 9))[0]
    assert found[0, 0, 0] == -1
    assert found[0, -1, 0] == 1
    assert found[1, 0, -1] == 1
    assert found[:2, 2, 4].abs().max() == 0
