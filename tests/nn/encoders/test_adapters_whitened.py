"""Directions of blocks in a whitened space, in loops; saved, read, and as a graph of ONNX."""

import pytest
import torch

import medshot
import toys
from medshot.core.errors import ShapeError
from medshot.core.registry import make, recipe
from medshot.nn.encoders.adapters import WhitenedBlocks, directions
from medshot.nn.heads import Linear
from medshot.nn.onnx import INPUT, graph_of, session_of

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
    u = directions(z + 3e-8 * torch.randn(2, 3), z[0], (3,))[0]
    assert u[0].norm() < 1e-2
    assert u[1].norm() == pytest.approx(1)
    assert not directions(z[:1], z[0], (3,))[0].any()


def test_gradients_are_finite_at_the_center():
    z = torch.zeros(1, 3, requires_grad=True)
    directions(z, torch.zeros(3), (3,))[0].sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_a_block_at_the_center_is_the_same_in_a_graph():
    module = made(torch.nn.Identity(), 0)
    z = torch.stack([module.center, module.center + 1e-6, torch.randn(12)])
    (found,) = session_of(graph_of(module, z).SerializeToString()).run(None, {INPUT: z.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), module(z), atol=1e-5, rtol=1e-4)


def test_blocks_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"Blocks of 12 features.*factors for 11"):
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
