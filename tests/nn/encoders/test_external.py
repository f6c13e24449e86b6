"""Networks of others: a row an image, whatever they give; a map of the image's size stays one."""

import importlib
import importlib.util
import sys

import pytest
import torch
from torch import nn

from medshot.core.errors import ConfigError
from medshot.core.registry import make, recipe
from medshot.nn import encoder
from medshot.nn.encoders.external import Wrapped, library, no_such

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
    with pytest.raises(ConfigError, match=r"toy/net.* 1 x 8 x 8"):
        _wrapped(nn.Conv2d(3, 3, 3))


def test_a_network_without_features_is_refused():
    with pytest.raises(ConfigError, match="gives no features"):
        _wrapped(nn.Flatten(0))


# Networks of MONAI: whole images, and those that keep the grid.


needs_monai = pytest.mark.skipif(
    not importlib.util.find_spec("monai"), reason='needs pip install "medshot[monai]"'
)
UNET = [["channels", [4, 8]], ["strides", [2]]]


@needs_monai
@pytest.mark.filterwarnings("ignore")  # MONAI's own
def test_a_unet_keeps_the_grid_and_is_made_again_from_its_recipe():
    found = encoder("monai", network="UNet", channels=1, size=16, width=5, arguments=UNET)
    x = torch.rand(2, 1, 16, 16)
    assert found.keeps_grid
    assert found(x).shape == (2, 5, 16, 16)
    again = make(recipe(found)).eval()
    again.load_state_dict(found.state_dict())
    assert torch.equal(again(x), found(x))


@needs_monai
@pytest.mark.filterwarnings("ignore")  # MONAI's own
def test_a_resnet_has_the_features_below_its_head():
    found = encoder("monai", network="resnet18", channels=1, size=32)
    assert found(torch.rand(2, 1, 32, 32)).shape == (2, 512)


@needs_monai
@pytest.mark.filterwarnings("ignore")  # MONAI's own
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"network": "resnet51"}, "Did you mean 'resnet"),
        ({"network": "UNet"}, "cannot be built with arguments .*'channels'"),
        ({"network": "UNet", "arguments": [["chanels", [4]]]}, "chanels"),
        ({"network": "UNet", "arguments": [["channels"]]}, "pairs of name and value"),
    ],
)
def test_what_cannot_be_made_is_said(options, told):
    with pytest.raises(ConfigError, match=told):
        encoder("monai", channels=1, size=16, **options)


# Networks of timm: a size and channels of one's own, saved like any encoder, and MONAI's twin.


needs_timm = pytest.mark.skipif(
    not importlib.util.find_spec("timm"), reason='needs pip install "medshot[timm]"'
)


@needs_timm
@pytest.mark.parametrize("network", ["test_resnet", "test_vit"])
def test_any_size_and_number_of_channels(network):
    found = encoder("timm", network=network, channels=1, size=32)
    assert found(torch.rand(2, 1, 32, 32)).shape == (2, found.n_features)


@needs_timm
def test_a_network_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'test_resnet'"):
        encoder("timm", network="test_resnett")


@needs_timm
@pytest.mark.skipif(not importlib.util.find_spec("monai"), reason="needs MONAI too")
def test_the_resnet_50_of_two_libraries_is_one():
    ours = encoder("timm", network="resnet50", size=32)
    arguments = [["conv1_t_stride", 2], ["bias_downsample", False]]
    theirs = encoder("monai", network="resnet50", size=32, arguments=arguments, scaling="imagenet")
    theirs.inner().load_state_dict(ours.inner().state_dict())
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(theirs(x), ours(x))


# A library that is not there is a sentence with the line to type; a broken one says so.


@pytest.mark.parametrize(("name", "option"), [("timm", "timm"), ("monai", "monai")])
def test_a_missing_library_is_named_with_the_line_to_type(monkeypatch, name, option):
    if name == "timm":
        monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf'pip install "medshot\[{option}\]"'):
        encoder(name)


def test_a_library_that_breaks_on_import_says_why(monkeypatch):
    def breaks(name: str) -> None:
        raise RuntimeError("operator torchvision::roi does not exist")

    monkeypatch.setattr(importlib, "import_module", breaks)
    with pytest.raises(ConfigError, match=r"timm.*cannot be imported .*roi"):
        library("timm")


def test_of_hundreds_of_networks_the_nearest_few_are_named():
    said = str(no_such("resnet5", [f"resnet{i}" for i in range(300)], "timm"))
    assert "Did you mean 'resnet5" in said
    assert said.count("resnet") == 7
    assert "no similar name" in str(no_such("x", ["resnet"], "timm"))
