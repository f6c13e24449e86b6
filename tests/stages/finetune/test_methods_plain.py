"""The ways that add nothing: which weights move, by name."""

from torch import nn

from medshot.stages.finetune.methods import get_method

LAYERS = {
    "convolution": nn.Conv2d(3, 4, 3),
    "norm": nn.GroupNorm(2, 4),
    "linear": nn.Linear(4, 2, bias=False),
    "lstm": nn.LSTM(2, 2),
}
LSTM = {"lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_ih_l0", "lstm.bias_hh_l0"}


def _moved(name: str) -> set[str]:
    names = {id(layer): each for each, layer in LAYERS.items()}
    moves = list(get_method(name).moves(list(LAYERS.values())))
    assert all(move.change is None for move in moves)
    return {f"{names[id(move.layer)]}.{move.weight}" for move in moves}


def test_all_is_all():
    some = {"convolution.weight", "convolution.bias", "norm.weight", "norm.bias", "linear.weight"}
    assert _moved("all") == some | LSTM


def test_bias_is_biases_and_normalisation():
    biases = {"lstm.bias_ih_l0", "lstm.bias_hh_l0"}
    assert _moved("bias") == {"convolution.bias", "norm.weight", "norm.bias"} | biases


def test_head_is_nothing_below_the_head():
    assert _moved("head") == set()
