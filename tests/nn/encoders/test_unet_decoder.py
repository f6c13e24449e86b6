"""A decoder draws images of the size that is asked for, and can draw what it is taught."""

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.nn.encoders.unet import Decoder


@pytest.mark.parametrize("size", [2, 4, 5, 16, 28, 33])
def test_images_are_of_the_size_asked_for(size):
    assert Decoder(7, 2, size, width=3)(torch.randn(4, 7)).shape == (4, 2, size, size)


def test_features_of_every_pixel_are_mixed_pixel_by_pixel():
    decoder, z = Decoder(7, 2, 8, grid=True), torch.randn(1, 7, 8, 8)
    torch.testing.assert_close(decoder(z)[:, :, 3, 5], decoder(z[:, :, 3:4, 5:6])[:, :, 0, 0])


def test_it_can_be_taught_an_image():
    decoder, z, image = Decoder(4, 1, 8, width=8), torch.randn(1, 4), torch.rand(1, 1, 8, 8)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        (decoder(z) - image).square().mean().backward()
        optimizer.step()
    assert (decoder(z) - image).square().mean() < 0.2 * image.var()


def test_no_channels_are_refused():
    with pytest.raises(ConfigError, match="width is 0"):
        Decoder(4, 1, 8, width=0)
