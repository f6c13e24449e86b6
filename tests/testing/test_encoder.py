"""The contract finds encoders that break it, and says which promise."""

import pytest
import torch
from torch import nn

import toys
from medshot.core.errors import ConfigError, SaveError
from medshot.nn import Conv4
from medshot.testing import check_encoder


class Blind(Conv4):
    def forward(self, x):
        return self.layers_of(x.mean(1, keepdim=True))

    def layers_of(self, x):
        return super().forward(x)


class Crowd(Conv4):
    def forward(self, x):
        found = super().forward(x)
        return found - found.mean(0)


class Short(Conv4):
    def forward(self, x):
        return super().forward(x)[:, 1:]


SMALL = {"channels": 1, "size": toys.SIZE, "width": 8}


def test_encoders_of_ours_keep_it():
    check_encoder(toys.conv4())
    check_encoder("pixels")


@pytest.mark.parametrize(
    ("made", "promise"),
    [
        (Short, "Features are finite, `n_features` an image"),
        (Crowd, "Features of an image do not depend"),
    ],
)
def test_a_broken_promise_is_named(made, promise):
    with pytest.raises(AssertionError, match=f"{made.__name__} breaks the promise: {promise}"):
        check_encoder(made(**SMALL))


def test_what_cannot_be_saved_is_refused_with_what_to_write():
    with pytest.raises(SaveError, match="not a registered part"):
        check_encoder(Blind(**SMALL))


def test_a_module_that_does_not_say_its_form_needs_images():
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    with pytest.raises(ConfigError, match="give x="):
        check_encoder(module)
    module.n_features = 4
    with pytest.raises(SaveError, match="not a registered part"):
        check_encoder(module, x=torch.rand(3, 1, 4, 4))
