"""EfficientNet-Lite0 against timm's network of the same name, and against the paper's table."""

import importlib.util
import json

import pytest
import torch

from medshot.core.registry import make, recipe
from medshot.nn.encoders.efficientnet import EfficientNetLite0
from medshot.nn.encoders.external import library


def test_it_has_the_parameters_of_the_paper_less_the_head_for_1000_classes():
    """4.7 million in all (the table of its authors): 1281 x 1000 of them are the head's."""
    found = EfficientNetLite0(size=32)
    count = sum(p.numel() for p in found.parameters()) + 1281 * 1000
    assert count == 4_652_008
    assert found.n_features == 1280


@pytest.mark.skipif(
    not importlib.util.find_spec("timm"), reason='needs pip install "medshot[timm]"'
)
@pytest.mark.parametrize("size", [64, 97])  # SAME padding is another where a side is odd
def test_with_the_same_tensors_it_gives_what_that_of_timm_gives(size: int):
    torch.manual_seed(0)
    theirs = library("timm").create_model("tf_efficientnet_lite0", num_classes=0).eval()
    for name, tensor in theirs.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.copy_(torch.rand_like(tensor) + 0.1)
    ours = EfficientNetLite0(size=size).eval()
    tensors = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)  # in one order
    ours.load_state_dict(dict(tensors))
    x = torch.rand(2, 3, size, size)
    torch.testing.assert_close(ours(x), theirs(2 * x - 1))


def test_it_is_made_again_from_its_recipe():
    found = EfficientNetLite0(size=32, channels=1).eval()
    again = make(json.loads(json.dumps(recipe(found)))).eval()
    again.load_state_dict(found.state_dict())
    x = torch.rand(2, 1, 32, 32)
    assert torch.equal(again(x), found(x))
