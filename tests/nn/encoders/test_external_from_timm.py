"""Networks of timm: a size and channels of one's own, saved like any encoder, and MONAI's twin."""

import importlib.util

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.nn import encoder

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("timm"), reason='needs pip install "medshot[timm]"'
)


@pytest.mark.parametrize("network", ["test_resnet", "test_vit"])
def test_any_size_and_number_of_channels(network):
    found = encoder("timm", network=network, channels=1, size=32)
    assert found(torch.rand(2, 1, 32, 32)).shape == (2, found.n_features)


def test_a_network_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'test_resnet'"):
        encoder("timm", network="test_resnett")


@pytest.mark.skipif(not importlib.util.find_spec("monai"), reason="needs MONAI too")
def test_the_resnet_50_of_two_libraries_is_one():
    ours = encoder("timm", network="resnet50", size=32)
    arguments = [["conv1_t_stride", 2], ["bias_downsample", False]]
    theirs = encoder("monai", network="resnet50", size=32, arguments=arguments, scaling="imagenet")
    theirs.inner().load_state_dict(ours.inner().state_dict())
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(theirs(x), ours(x))
