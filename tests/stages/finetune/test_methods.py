"""Ways are found by scanning and made by name."""

import pytest
import torch
from torch import nn

import toys
from medshot.core.errors import ConfigError
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.stages.finetune.methods import (
    Adapter,
    FiLM,
    LoRA,
    LowRank,
    Scaled,
    TrainableCopy,
    get_method,
    methods,
)
from medshot.tasks import Classification


def test_every_file_is_a_way_with_a_source():
    assert set(methods()) == {"adapter", "all", "bias", "film", "head", "lora"}
    assert all(way.source and way.__doc__ for way in methods().values())


def test_options_are_its_keyword_arguments():
    assert get_method("lora", rank=2).rank == 2


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("lorra", {}, "no fine-tuning method called 'lorra'. Did you mean 'lora'"),
        ("lora", {"rang": 2}, "no option of 'lora' called 'rang'. Did you mean 'rank'"),
        ("head", {"rank": 2}, "no option of 'head' called 'rank'"),
    ],
)
def test_what_is_not_there_is_named(name, options, told):
    with pytest.raises(ConfigError, match=told):
        get_method(name, **options)


# An adapter is a convolution of one pixel beside another, and is folded into its middle.


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.Conv2d(3, 4, 3, padding=1), torch.randn(2, 3, 6, 6)),
        (nn.Conv2d(3, 4, (3, 5), stride=2, padding=(1, 2)), torch.randn(2, 3, 7, 7)),
        (nn.Conv3d(3, 4, 3, padding=1), torch.randn(2, 3, 4, 5, 6)),
    ],
    ids=["square", "oblong-stride", "3d"],
)
def test_it_adds_what_a_convolution_of_one_pixel_gives(layer, x):
    (move,) = Adapter().moves([layer])
    assert torch.equal(move.change(layer.weight), layer.weight)
    nn.init.normal_(move.change.matrix)
    pixel = move.change.matrix.view(4, 3, *(1,) * (x.ndim - 2))
    convolve = torch.conv3d if x.ndim == 5 else torch.conv2d
    beside = convolve(x, pixel, None, layer.stride)
    found = convolve(x, move.change(layer.weight), layer.bias, layer.stride, layer.padding)
    torch.testing.assert_close(found, layer(x) + beside, rtol=1e-4, atol=1e-5)


def test_kernels_without_a_middle_or_of_one_pixel_get_none():
    layers = [nn.Conv2d(3, 4, 2), nn.Conv2d(3, 4, 1), nn.Linear(3, 4)]
    assert list(Adapter().moves(layers)) == []


# FiLM is a scale and a shift after a normalisation, and is folded into its weights.


@pytest.mark.parametrize(
    "norm",
    [nn.GroupNorm(2, 4), nn.BatchNorm2d(4).eval(), nn.InstanceNorm2d(4, affine=True)],
    ids=["group", "batch", "instance"],
)
def test_it_is_a_scale_and_a_shift_of_what_the_layer_gives(norm):
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(2, 4, 5, 5)
    before = norm(x)
    weight, bias = (move.change for move in FiLM().moves([norm]))
    nn.init.normal_(weight.scale)
    nn.init.normal_(bias.shift)
    with torch.no_grad():
        norm.weight.copy_(weight(norm.weight))
        norm.bias.copy_(bias(norm.bias))
    scale, shift = (each[:, None, None] for each in (weight.scale, bias.shift))
    torch.testing.assert_close(norm(x), before * (1 + scale) + shift)


def test_without_normalisation_the_channels_of_convolutions_are_scaled_and_shifted():
    layer = nn.Conv2d(3, 4, 3)
    moves = list(FiLM().moves([layer, nn.Linear(2, 2)]))
    assert [(move.layer, move.weight) for move in moves] == [(layer, "weight"), (layer, "bias")]
    x, scale = torch.randn(2, 3, 5, 5), moves[0].change.scale
    nn.init.normal_(scale)
    found = torch.conv2d(x, moves[0].change(layer.weight), moves[1].change(layer.bias))
    torch.testing.assert_close(found, layer(x) * (1 + scale[:, None, None]))


def test_a_layer_without_bias_is_scaled_alone():
    layers = [nn.LayerNorm((4, 3), bias=False), nn.RMSNorm(4)]
    moves = list(FiLM().moves(layers))
    assert [move.weight for move in moves] == ["weight", "weight"]
    assert isinstance(moves[0].change, Scaled)
    assert torch.equal(moves[0].change(layers[0].weight), layers[0].weight)


# LoRA is what the layers give plus a narrow way beside them, and is folded in.


RANK, ALPHA = 3, 6.0


def _changes(layers: list[nn.Module]) -> list[LowRank]:
    """What LoRA adds to `layers`, its zeros replaced by random numbers."""
    changes = [move.change for move in LoRA(rank=RANK, alpha=ALPHA).moves(layers)]
    for change in changes:
        assert isinstance(change, LowRank)
        nn.init.normal_(change.b)
    return changes


def test_of_a_linear_layer_it_is_a_second_narrow_path():
    layer, x = nn.Linear(7, 5), torch.randn(4, 7)
    (change,) = _changes([layer])
    beside = ALPHA / RANK * (x @ change.a.T @ change.b.T)
    found = nn.functional.linear(x, change(layer.weight), layer.bias)
    torch.testing.assert_close(found, layer(x) + beside)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.Conv2d(4, 6, 3, stride=2, padding=1), torch.randn(2, 4, 9, 9)),
        (nn.Conv3d(2, 6, 3, padding=1), torch.randn(2, 2, 4, 5, 6)),
    ],
    ids=["2d", "3d"],
)
def test_of_a_convolution_it_is_one_to_few_channels_and_one_of_a_pixel(layer, x):
    (change,) = _changes([layer])
    convolve = torch.conv3d if layer.weight.ndim == 5 else torch.conv2d
    down = change.a.view(RANK, *layer.weight.shape[1:])
    up = change.b.view(*change.b.shape, *(1,) * (x.ndim - 2))
    beside = convolve(convolve(x, down, None, layer.stride, layer.padding), up)
    found = convolve(x, change(layer.weight), layer.bias, layer.stride, layer.padding)
    torch.testing.assert_close(found, layer(x) + ALPHA / RANK * beside, rtol=1e-4, atol=1e-5)


def test_peft_gives_the_same_for_the_same_factors():
    peft = pytest.importorskip("peft")
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))
    x, changes = torch.randn(2, 3, 4, 4), _changes([net[0], net[3]])
    z = torch.conv2d(x, changes[0](net[0].weight), net[0].bias, padding=1).relu().flatten(1)
    ours = nn.functional.linear(z, changes[1](net[3].weight), net[3].bias)
    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["0", "3"])
    theirs = peft.get_peft_model(net, config)
    for name, change in zip(("0", "3"), changes, strict=True):
        layer = theirs.base_model.model.get_submodule(name)
        with torch.no_grad():
            for own, given in ((layer.lora_A, change.a), (layer.lora_B, change.b)):
                own["default"].weight.copy_(given.view_as(own["default"].weight))
    torch.testing.assert_close(ours, theirs(x))
    torch.testing.assert_close(ours, theirs.merge_and_unload()(x))


def test_a_layer_smaller_than_the_rank_gets_less_and_none_is_changed_at_first():
    layer = nn.Linear(7, 2)
    (move,) = LoRA(rank=4).moves([layer])
    assert move.change.a.shape == (2, 7)
    assert torch.equal(move.change(layer.weight), layer.weight)


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"alpha": 0.0}, {"alpha": float("nan")}])
def test_numbers_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match="rank="):
        LoRA(**wrong)


# The ways that add nothing: which weights move, by name.


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


# What is freed: how much of it, how far it is, and what has nothing to free.


HEAD = 8 * 3 + 3  # 8 features of an image of 16 pixels, 3 classes
CONVOLUTIONS = 4
WEIGHTS = 9 * 8 * 1 + 3 * (9 * 8 * 8)


@pytest.mark.parametrize(
    ("way", "below"),
    [
        ("head", 0),
        ("film", CONVOLUTIONS * (8 + 8)),
        ("bias", CONVOLUTIONS * (8 + 8 + 8)),
        ("lora", (9 + 8) * 4 + 3 * (72 + 8) * 4),
        ("adapter", 8 + 3 * 64),
        ("all", WEIGHTS + CONVOLUTIONS * (8 + 8 + 8)),
    ],
)
def test_as_many_numbers_move_as_one_counts_by_hand(way, below):
    freed = TrainableCopy(_predictor("linear-probe"), get_method(way))
    assert freed.moving == HEAD + below


def test_the_distance_is_that_of_the_weights_that_layers_work_with():
    freed = TrainableCopy(_predictor("linear-probe"), get_method("lora"))
    start = freed.settled().state_dict()
    freed = TrainableCopy(_predictor("linear-probe"), get_method("lora"))
    assert freed.distance() == 0
    with torch.no_grad():
        for p in freed.predictor.parameters():
            if p.requires_grad:
                p.add_(0.1 * torch.randn_like(p))
    found, after = freed.distance(), freed.settled().state_dict()
    by_hand = sum((after[name] - start[name]).square().sum() for name in start)
    torch.testing.assert_close(found, by_hand)
    assert found > 0.1


def test_what_somebody_said_of_the_support_does_not_move():
    freed = TrainableCopy(_predictor("matching"), get_method("head"))
    assert {move.weight for move in freed.moves} == {"known", "scale"}


def test_an_encoder_without_weights_has_a_head_that_moves():
    predictor = _predictor("linear-probe", encoder("pixels", channels=1, size=toys.SIZE))
    assert TrainableCopy(predictor, get_method("head")).moving == 3 * toys.SIZE**2 + 3
    for name in ("all", "bias", "film", "lora", "adapter"):
        with pytest.raises(ConfigError, match=f"pixels has no .*'{name}' has nothing to train"):
            TrainableCopy(predictor, get_method(name))


def _predictor(name, module=None):
    torch.manual_seed(0)
    task = Classification(3)
    learner = build(name, encoder=module or toys.conv4())
    return learner.adapt(toys.episode(task).support, task).freeze()
