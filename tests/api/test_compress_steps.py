"""What was typed is checked before any step begins, and steps come in the order of the chain."""

import pytest

import toys
from medshot.api.compress import steps_of
from medshot.api.resolve import parse_options
from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.nn import Conv4
from medshot.stages.compress.stage import Compress
from toys.networks import classifier, n_parameters, segmenter


def _steps(original=None, given=(), **options):
    stage = Compress(set_=parse_options(given), **options)
    return steps_of(stage, original or classifier(width=32))


def test_distilling_comes_before_pruning():
    assert list(_steps(prune=0.5, distil="small")) == ["distil small", "prune 0.5"]


def test_an_encoder_by_name_takes_options(tmp_path):
    original, x = classifier(), toys.images()
    given = ["encoder.width=8", "encoder.read=mean"]
    step = _steps(original, distil="conv4", given=given, steps=1)["distil conv4"]
    made = step(original, Examples(x, x.new_zeros(6)), folder=tmp_path)
    assert isinstance(made.encoder, Conv4)
    assert made.encoder.n_features == 8


def test_pruning_in_a_chain_learns_from_the_original(tmp_path):
    original, x = classifier(), toys.images()
    step = _steps(original, prune=0.5, steps=1, lr=0.01)["prune 0.5"]
    made = step(original, Examples(x, x.new_zeros(6)), folder=tmp_path)
    assert n_parameters(made) < 0.35 * n_parameters(original)
    assert made.card.stages[-1]["lr"] == 0.01


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({}, "Say how to compress"),
        ({"prune": 1.0}, "nothing would be left"),
        ({"distil": "smal"}, "no encoder called 'smal'"),
        ({"distil": "small", "given": ["encoder.width=8"]}, "--set is for --distil"),
        ({"prune": 0.5, "given": ["encoder.width=8"]}, "--set is for --distil"),
        ({"distil": "conv4", "given": ["width=8"]}, "only encoder.NAME=VALUE"),
        ({"distil": "conv4", "given": ["encoder.widht=8"]}, "Did you mean 'width'"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_at_once(typed, said):
    with pytest.raises(ConfigError, match=said):
        _steps(**typed)


def test_masks_are_distilled_too(tmp_path):
    original, x = segmenter(width=16), toys.images(2)
    step = _steps(original, distil="small", steps=1)["distil small"]
    made = step(original, Examples(x, x.new_zeros(2)), folder=tmp_path)
    assert made(x).shape == original(x).shape


def test_quantising_comes_last_and_other_numbers_are_refused():
    assert list(_steps(quantise="int8", prune=0.5, distil="small")) == [
        "distil small",
        "prune 0.5",
        "int8",
    ]
    with pytest.raises(ConfigError, match="int8"):
        _steps(quantise="int4")
