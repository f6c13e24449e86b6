"""Layers of every kind are brought to other widths, and the whole is made from its recipe again."""

import pytest
import torch
from torch import nn

import medshot
import toys
from medshot.core.errors import ShapeError
from medshot.core.registry import make, recipe
from medshot.nn import Conv4, UNet3d
from medshot.nn.encoders.adapters import Pruned, WhitenedBlocks, normalized_blocks, widths
from medshot.nn.heads import Linear
from medshot.nn.onnx import INPUT, graph_of, session_of

LAYERS = {
    "conv": (nn.Conv2d(8, 8, 3), [4, 6, 1]),
    "depthwise": (nn.Conv2d(8, 8, 3, groups=8, bias=False), [4, 4, 4]),
    "transposed": (nn.ConvTranspose2d(8, 8, 2), [4, 6, 1]),
    "volume": (nn.Conv3d(8, 8, 3), [4, 6, 1]),
    "linear": (nn.Linear(8, 8), [4, 6, 1]),
    "group": (nn.GroupNorm(4, 8), [4, 4, 2]),
    "batch": (nn.BatchNorm2d(8), [4, 4, 1]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_takes_and_gives_its_new_widths(name):
    layer, wanted = LAYERS[name]
    made = Pruned(encoder=nn.Sequential(layer), layers=[["0", *wanted]], n_features=4)
    assert widths(layer) == tuple(wanted)
    sides = {"linear": (), "volume": (5, 5, 5)}.get(name, (5, 5))
    assert made(torch.rand(2, wanted[1], *sides)).shape[:2] == (2, 4)
    assert all(not p.any() for p in made.parameters())


def test_what_has_no_widths_says_so():
    assert widths(nn.ReLU()) is None


def test_the_form_is_the_encoders_and_the_recipe_makes_it_again():
    layers = [["blocks.0.0", 4, 1, 1], ["blocks.0.1", 4, 4, 4], ["blocks.1.0", 8, 4, 1]]
    made = Pruned(encoder=toys.conv4(), layers=layers, n_features=8)
    again = make(recipe(made))
    assert {n: t.shape for n, t in again.state_dict().items()} == {
        n: t.shape for n, t in made.state_dict().items()
    }
    assert (made.channels, made.size, made.keeps_grid, made.dims) == (1, toys.SIZE, False, 2)
    assert not made.transductive
    with torch.no_grad():
        assert made(toys.images()).shape == (6, 8)
    assert Pruned(encoder=Conv4(norm="transductive"), layers=[], n_features=8).transductive
    assert Pruned(encoder=UNet3d(), layers=[], n_features=8).dims == 3


# Directions of blocks in a whitened space, in loops; saved, read, and as a graph of ONNX.


SIZES = (5, 3, 4)


def made(encoder: torch.nn.Module, rank: int = 2) -> WhitenedBlocks:
    torch.manual_seed(1)
    factors, center = 0.3 * torch.randn(sum(SIZES), rank), torch.randn(sum(SIZES))
    return WhitenedBlocks(encoder=encoder, sizes=SIZES, factors=factors, center=center)


@pytest.mark.parametrize("rank", [0, 2])
def test_each_block_is_whitened_centered_and_of_unit_length(rank):
    module, z = made(torch.nn.Identity(), rank), torch.randn(4, sum(SIZES))
    found = module(z)
    for i in range(4):
        start = 0
        for size in SIZES:
            here = slice(start, start + size)
            v, start = module.factors[here], start + size
            d = z[i, here] - v @ (v.T @ z[i, here]) - module.center[here]
            torch.testing.assert_close(found[i, here], d / d.norm(), atol=1e-5, rtol=1e-5)


def test_a_block_at_the_center_has_no_direction_but_for_rounding_errors():
    z = torch.randn(2, 3)
    u = normalized_blocks(z + 3e-8 * torch.randn(2, 3), z[0], (3,))[0]
    assert u[0].norm() < 1e-2
    assert u[1].norm() == pytest.approx(1)
    assert not normalized_blocks(z[:1], z[0], (3,))[0].any()


def test_gradients_are_finite_at_the_center():
    z = torch.zeros(1, 3, requires_grad=True)
    normalized_blocks(z, torch.zeros(3), (3,))[0].sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_a_block_at_the_center_is_the_same_in_a_graph():
    module = made(torch.nn.Identity(), 0)
    z = torch.stack([module.center, module.center + 1e-6, torch.randn(12)])
    (found,) = session_of(graph_of(module, z).SerializeToString()).run(None, {INPUT: z.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), module(z), atol=1e-5, rtol=1e-4)


def test_blocks_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"12 features.*for 11"):
        WhitenedBlocks(
            encoder=torch.nn.Identity(),
            sizes=SIZES,
            factors=torch.zeros(11, 1),
            center=torch.zeros(11),
        )


def test_it_is_made_again_from_its_recipe_and_saved(tmp_path):
    encoder = toys.conv4()
    sizes = (encoder.n_features - 3, 3)
    module = WhitenedBlocks(
        encoder=encoder,
        sizes=sizes,
        factors=torch.randn(sum(sizes), 2) / 9,
        center=torch.randn(sum(sizes)),
    )
    again = make(recipe(module)).eval()
    again.load_state_dict(module.state_dict())
    x = toys.images(3)
    assert torch.equal(again(x), module(x))
    predictor = Linear(module, torch.randn(sum(sizes), 2), torch.zeros(2)).with_card(toys.card())
    saved = predictor.save(tmp_path / "model")
    assert torch.equal(medshot.load_predictor(saved)(x), predictor.freeze()(x))
