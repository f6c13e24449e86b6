"""DnCNN: begins as the identity, takes any size, sees as far as it is deep."""

import pytest
import torch

from medshot.core.errors import ConfigError, ShapeError
from medshot.nn.encoders.dncnn import DnCNN


def noisy(**options):
    torch.manual_seed(0)
    net = DnCNN(channels=1, width=8, depth=4, **options)
    torch.nn.init.normal_(net.noise.weight, std=0.1)
    return net.eval()


def test_an_untrained_network_gives_the_image_back():
    x = torch.rand(2, 3, 20, 20)
    z = DnCNN(width=8)(x)
    assert torch.equal(z[:, :3], x)
    assert z.shape == (2, 11, 20, 20)


def test_the_first_features_are_the_image_less_its_noise():
    net, x = noisy(), torch.rand(2, 1, 16, 16)
    z = net(x)
    torch.testing.assert_close(z[:, :1], x - net.noise(z[:, 1:]))


def test_a_pixel_depends_on_so_many_around_it_as_the_network_is_deep():
    net, x = noisy(), torch.rand(1, 1, 40, 50)
    whole, part = net(x), net(x[:, :, 10:30, 10:30])
    inner = slice(4, 16)
    torch.testing.assert_close(part[:, :, inner, inner], whole[:, :, 14:26, 14:26])


def test_other_channels_are_refused_and_so_is_a_single_layer():
    with pytest.raises(ShapeError, match="takes images of 1"):
        noisy()(torch.rand(1, 3, 16, 16))
    with pytest.raises(ConfigError, match="depth is 1"):
        DnCNN(depth=1)
