"""Features that are the image."""

import torch

from medshot.nn.encoders.identity import AsIs


def test_features_are_the_image_of_any_size():
    x = torch.rand(2, 3, 17, 40)
    assert torch.equal(AsIs()(x), x)
    assert AsIs(channels=1).n_features == 1
