"""What is cut is gone, and the rest computes what it computed with zeros in its place."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import toys
from medshot.core.errors import TaskError
from medshot.core.predictor import load_predictor
from medshot.learners.registry import build
from medshot.nn.encoders.dncnn import DnCNN
from medshot.nn.encoders.identity import Pixels
from medshot.nn.heads import Linear
from medshot.stages.compress.prune import cut
from toys.networks import classifier, n_parameters, segmenter, with_zeroed


def _kept(before, after, name):
    """The output channels of a convolution that are left, found by their biases."""
    old = before.encoder.get_submodule(name).bias
    new = after.encoder.encoder.get_submodule(name).bias
    return {int((old == value).nonzero()) for value in new}


def _gone(before, after, convolutions):
    found = {}
    for name, normalisation in convolutions.items():
        n = before.encoder.get_submodule(name).out_channels
        found[normalisation] = sorted(set(range(n)) - _kept(before, after, name))
    return found


@pytest.mark.parametrize("norm", ["group", "batch", "none"])
@pytest.mark.parametrize("read", ["flatten", "mean"])
def test_a_cut_conv4_is_the_original_with_zeros(norm, read):
    before, x = classifier(norm=norm, read=read).double(), toys.images().double()
    after = cut(before, x, 0.5)
    gone = _gone(before, after, {f"blocks.{i}.0": f"blocks.{i}.1" for i in range(4)})
    assert all(len(channels) == 8 for channels in gone.values())
    torch.testing.assert_close(after(x), with_zeroed(before, x, gone), rtol=1e-8, atol=1e-8)
    assert after.encoder.n_features == before.encoder.n_features // 2


@pytest.mark.parametrize("options", [{}, {"filters": (1.0,)}, {"norm": "batch"}], ids=str)
def test_a_cut_unet_is_the_original_with_zeros(options):
    before, x = segmenter(**options).double(), toys.images(2).double()
    after = cut(before, x, 0.5)
    layers = [f"{side}.{i}" for side, n in (("down", 3), ("up", 2)) for i in range(n)]
    pairs = {f"{layer}.{a}": f"{layer}.{a + 1}" for layer in layers for a in (0, 3)}
    gone = _gone(before, after, pairs)
    assert all(gone.values())
    torch.testing.assert_close(after(x), with_zeroed(before, x, gone), rtol=1e-8, atol=1e-8)
    assert after(x).shape == before(x).shape


@pytest.mark.parametrize("made", [classifier, segmenter])
def test_parameters_and_multiplications_go_down_by_much(made):
    before, x = made(), toys.images(2)
    after = cut(before, x, 0.5)
    assert n_parameters(after) < 0.35 * n_parameters(before)
    assert _multiplications(after, x) < 0.4 * _multiplications(before, x)
    again = cut(after, x, 0.5)
    assert n_parameters(again) < 0.5 * n_parameters(after)
    assert _multiplications(again, x) < 0.6 * _multiplications(after, x)


def _multiplications(predictor, x):
    with FlopCounterMode(display=False) as counter:
        predictor(x)
    return counter.get_total_flops()


@pytest.mark.parametrize("name", ["prototypical", "mahalanobis", "relation"])
def test_another_head_keeps_all_its_features(name, tmp_path):
    before = build(name, encoder=toys.conv4(width=16)).adapt(toys.dataset())
    x = toys.images()
    after = cut(before, x, 0.5).with_card(before.card)
    assert type(after) is type(before)
    assert after.encoder.n_features == before.encoder.n_features
    assert n_parameters(after) < n_parameters(before)
    assert torch.equal(load_predictor(after.save(tmp_path / "m"))(x), after(x))


def test_an_image_that_an_encoder_mends_stays_whole():
    encoder = DnCNN(channels=1, size=toys.SIZE, width=8, depth=4).eval()
    before = Linear(encoder, torch.eye(9, 1), torch.zeros(1)).freeze()
    after = cut(before, toys.images(), 0.5)
    assert after.encoder.n_features == 9
    assert n_parameters(after) < n_parameters(before)


def test_what_has_no_channels_is_refused():
    encoder = Pixels(channels=1, size=toys.SIZE)
    before = Linear(encoder, torch.zeros(encoder.n_features, 2), torch.zeros(2)).freeze()
    with pytest.raises(TaskError, match=r"pixels has no convolutions .* Distil it"):
        cut(before, toys.images(), 0.5)
