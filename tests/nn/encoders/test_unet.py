"""The U-Net: its grid, its widths, what it refuses, how far it sees."""

import pytest
import torch

import toys
from medshot.core.errors import ConfigError, ShapeError
from medshot.nn import UNet, UNet3d, encoder
from medshot.nn.encoders.unet import Decoder
from medshot.nn.heads import labeled_sites


@pytest.mark.parametrize("options", [{}, {"depth": 1}, {"channels": 3, "width": 16}])
def test_features_are_on_the_grid_of_the_image(options):
    net = UNet(**{"channels": 1, "size": 16, "width": 8, "depth": 2, **options}).eval()
    x = toys.images(2, channels=net.channels)
    assert net(x).shape == (2, net.n_features, 16, 16)
    assert encoder("unet", size=32).n_features == 16


def test_levels_double_in_width_up_to_eight_times():
    widths = [level[0].out_channels for level in UNet(width=8, size=32, depth=5).down]
    assert widths == [8, 16, 32, 64, 64, 64]


def test_deep_levels_let_a_pixel_see_far_and_shallow_ones_do_not():
    assert _sees_the_corner(depth=4)
    assert not _sees_the_corner(depth=1)


def _sees_the_corner(depth: int) -> bool:
    net = UNet(channels=1, size=64, width=8, depth=depth, norm="none", scaling="unit").eval()
    x = torch.rand(1, 1, 64, 64, requires_grad=True)
    net(x)[0, :, 40, 40].sum().backward()
    return bool(x.grad[0, 0, 10, 10].abs() > 0)


@pytest.mark.parametrize("wrong", [{"size": 100, "depth": 3}, {"depth": 0}])
def test_sizes_that_cannot_be_halved_are_refused(wrong):
    with pytest.raises(ConfigError, match="multiple of 2"):
        UNet(**wrong)


def test_labels_on_another_grid_are_refused_with_the_way_out():
    with pytest.raises(ShapeError, match='encoder="unet"'):
        labeled_sites(torch.randn(2, 5), torch.zeros(2, 4, 4, dtype=torch.int64))
    with pytest.raises(ShapeError, match='"conv4"'):
        labeled_sites(torch.randn(2, 5, 4, 4), torch.zeros(2, dtype=torch.int64))


def test_filters_lie_beside_what_is_trained() -> None:
    net = UNet(channels=1, size=16, width=8, depth=2, filters=[1.0, 2.0]).eval()
    x = toys.images(2)
    alone = encoder("filters", channels=1, size=16, scales=[1.0, 2.0])
    assert net.n_features == 8 + alone.n_features
    torch.testing.assert_close(net(x)[:, 8:], alone(x))


@pytest.mark.parametrize("sides", [(16, 16, 16), (9, 17, 5), (1, 3, 2)])
def test_volumes_of_any_shape_keep_their_grid(sides):
    net = UNet3d(width=8, depth=2).eval()
    assert net(torch.rand(2, 1, *sides)).shape == (2, 8, *sides)


def test_a_volume_turned_by_axes_is_seen_by_turned_layers() -> None:
    net = UNet3d(width=8, depth=1).eval()
    x = torch.rand(1, 1, 6, 8, 10)
    straight = net(x)
    for part in net.modules():
        if isinstance(part, torch.nn.Conv3d):
            part.weight.data = part.weight.data.transpose(2, 4).contiguous()
    torch.testing.assert_close(net(x.transpose(2, 4)).transpose(2, 4), straight)


def test_images_are_no_volumes():
    with pytest.raises(ShapeError, match=r"volumes .* with 1 channel\(s\)"):
        UNet3d()(toys.images(2))


# A decoder draws images of the size that is asked for, and can draw what it is taught.


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
