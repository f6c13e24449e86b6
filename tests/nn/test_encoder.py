"""What all encoders share: their form, their scaling, and their names."""

import pytest
import torch
from torch import nn

import toys
from medshot.core.errors import ConfigError, ShapeError
from medshot.core.registry import names
from medshot.nn import Pixels, encoder
from medshot.nn.encoder import IMAGENET, SCALINGS, n_features
from medshot.testing import check_encoder

OF_LIBRARIES = ("monai", "timm")  # tested beside their code, where those are installed
ROWS = ("hashed-text", "table", "joined", "signal-cnn", "signal-gru", "signal-transformer")
NAMES = [n for n in names("encoder") if "toy" not in n and n not in (*OF_LIBRARIES, *ROWS)]


@pytest.mark.parametrize("name", [n for n in NAMES if "/" not in n])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_every_encoder_keeps_the_contract(name, scaling):
    flat = not name.endswith("3d") and name != "voxels"
    module = encoder(name, channels=1, scaling=scaling, **({"size": toys.SIZE} if flat else {}))
    assert not module.training
    check_encoder(module, x=toys.images(3) if flat else torch.rand(3, 1, 9, 10, 11))


def test_scalings_are_what_the_table_says():
    x = toys.images(4, channels=3)
    scaled = {s: Pixels(channels=3, size=toys.SIZE, scaling=s).scaled(x) for s in SCALINGS}
    torch.testing.assert_close(scaled["unit"], x)
    torch.testing.assert_close(scaled["invert"], 1 - x)
    torch.testing.assert_close(scaled["centre"], 4 * (x - 0.5))
    torch.testing.assert_close(scaled["signed"], x / 0.5 - 1)
    torch.testing.assert_close(scaled["quantised"], (255 * x - 128) / 128)
    for c, (mean, deviation) in enumerate(zip(*IMAGENET, strict=True)):
        torch.testing.assert_close(scaled["imagenet"][:, c], (x[:, c] - mean) / deviation)
    for image in scaled["standard"]:
        assert image.mean().item() == pytest.approx(0, abs=1e-5)
        assert image.std(correction=0).item() == pytest.approx(1, abs=1e-3)


def test_a_constant_image_does_not_divide_by_zero():
    module = Pixels(channels=1, size=toys.SIZE)
    assert not module(torch.full((1, 1, toys.SIZE, toys.SIZE), 0.3)).abs().gt(1e-3).any()


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (2, 1, 16, 8)])
def test_images_of_another_form_are_refused_with_both_forms(shape):
    with pytest.raises(ShapeError, match="1 x 16 x 16 .* not " + " x ".join(map(str, shape[1:]))):
        toys.conv4()(torch.rand(shape))


@pytest.mark.parametrize(
    ("name", "options", "hint"),
    [
        ("con4", {}, "no encoder called 'con4'. Did you mean 'conv4'"),
        ("conv4", {"widht": 8}, "no option of 'conv4' called 'widht'. Did you mean 'width'"),
        ("conv4", {"scaling": "centred"}, "Did you mean 'centre'"),
        ("conv4", {"norm": "groups"}, "Did you mean 'group'"),
        ("conv4", {"halve": "pol"}, "Did you mean 'pool'"),
        ("conv4", {"read": "flaten"}, "Did you mean 'flatten'"),
    ],
)
def test_a_typo_gets_a_suggestion(name, options, hint):
    with pytest.raises(ConfigError) as error:
        encoder(name, **options)
    assert hint in str(error.value)


def test_a_module_that_does_not_say_its_features_is_told_how():
    assert n_features(toys.conv4()) == 8
    with pytest.raises(ShapeError, match=r"Linear.*self\.n_features"):
        n_features(nn.Linear(2, 2))
