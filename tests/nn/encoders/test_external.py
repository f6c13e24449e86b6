"""Networks of others: a row an image, whatever they give; a map of the image's size stays one."""

import pytest
import torch
from torch import nn

from medshot.core.errors import ConfigError
from medshot.nn.encoders.external import Wrapped

SIZE = 8


def _wrapped(net: nn.Module) -> Wrapped:
    return Wrapped(net, 1, SIZE, "unit", "toy/net").eval()


class _Tokens(nn.Module):
    def forward(self, x):
        return x.flatten(2).transpose(1, 2).expand(-1, -1, 5), "something else"


def test_a_small_map_is_averaged():
    net = nn.Conv2d(1, 3, 2, 2)
    x = torch.rand(2, 1, SIZE, SIZE)
    found = _wrapped(net)
    assert (found.n_features, found.keeps_grid) == (3, False)
    torch.testing.assert_close(found(x), net(x).mean((2, 3)))


def test_a_map_of_the_size_of_the_image_is_kept():
    net = nn.Conv2d(1, 3, 3, padding=1)
    x = torch.rand(2, 1, SIZE, SIZE)
    found = _wrapped(net)
    assert found.keeps_grid
    torch.testing.assert_close(found(x), net(x))


def test_tokens_are_averaged_and_what_else_is_given_is_left():
    x = torch.rand(2, 1, SIZE, SIZE)
    found = _wrapped(_Tokens())
    assert found.n_features == 5
    torch.testing.assert_close(found(x), x.mean((1, 2, 3))[:, None].expand(-1, 5))


def test_a_network_for_other_images_is_refused():
    with pytest.raises(ConfigError, match="toy/net does not take images of 1 x 8 x 8"):
        _wrapped(nn.Conv2d(3, 3, 3))


def test_a_network_without_features_is_refused():
    with pytest.raises(ConfigError, match="gives no features"):
        _wrapped(nn.Flatten(0))
