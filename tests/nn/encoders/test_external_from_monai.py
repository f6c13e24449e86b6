"""Networks of MONAI: whole images, and those that keep the grid."""

import importlib.util

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.core.registry import make, recipe
from medshot.nn import encoder

pytestmark = [
    pytest.mark.skipif(
        not importlib.util.find_spec("monai"), reason='needs pip install "medshot[monai]"'
    ),
    pytest.mark.filterwarnings("ignore"),  # MONAI's own
]
UNET = [["channels", [4, 8]], ["strides", [2]]]


def test_a_unet_keeps_the_grid_and_is_made_again_from_its_recipe():
    found = encoder("monai", network="UNet", channels=1, size=16, width=5, arguments=UNET)
    x = torch.rand(2, 1, 16, 16)
    assert found.keeps_grid
    assert found(x).shape == (2, 5, 16, 16)
    again = make(recipe(found)).eval()
    again.load_state_dict(found.state_dict())
    assert torch.equal(again(x), found(x))


def test_a_resnet_has_the_features_below_its_head():
    found = encoder("monai", network="resnet18", channels=1, size=32)
    assert found(torch.rand(2, 1, 32, 32)).shape == (2, 512)


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
