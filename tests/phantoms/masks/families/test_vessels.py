"""Tubes: trees from their roots, and the pixels that they cover."""

import numpy as np

from medshot.phantoms.masks.families.vessels import STEP, grow, stamp

GROWN = {"radius": 0.06, "taper": 0.8, "branching": 0.15, "winding": 0.2}


def _tree(seed: int, **changed: float) -> tuple[np.ndarray, np.ndarray]:
    roots, aims = np.array([[-1.0, 0.0]]), np.array([[1.0, 0.0]])
    return grow(np.random.default_rng(seed), roots, aims, **(GROWN | changed))


def test_a_tree_holds_together_and_becomes_thinner() -> None:
    pieces, radii = _tree(0)
    starts, ends = pieces[:, 0], pieces[:, 1]
    assert np.allclose(np.linalg.norm(ends - starts, axis=1), STEP)
    assert starts[0].tolist() == [-1.0, 0.0]
    for start in starts[1:]:
        assert np.abs(ends - start).sum(1).min() < 1e-9
    assert radii[0] == 0.06
    assert (radii <= 0.06 + 1e-9).all()
    assert radii.min() < 0.04


def test_without_branches_and_winding_it_is_a_line() -> None:
    pieces, radii = _tree(0, branching=0.0, winding=0.0)
    assert np.allclose(pieces[..., 1], 0.0)
    assert np.allclose(np.diff(pieces[:, 0, 0]), STEP)
    assert (np.diff(radii) < 0).all()


def test_pixels_are_those_within_the_radius() -> None:
    """Against the distance of every pixel to the nearest of many points on the pieces."""
    pieces, radii = _tree(3)
    where = stamp(pieces, radii, (64, 64))
    centres = (np.indices((64, 64)).reshape(2, -1).T + 0.5) / 32 - 1
    along = np.linspace(0, 1, 40)[:, None]
    inner, outer = np.zeros(64 * 64, bool), np.zeros(64 * 64, bool)
    for (a, b), radius in zip(pieces, radii, strict=True):
        line = a * (1 - along) + b * along
        away = np.sqrt(((centres[:, None] - line[None]) ** 2).sum(2)).min(1)
        inner |= away < radius - 0.2 / 32
        outer |= away < max(radius, 0.55 / 32) + 0.01 / 32
    assert inner.sum() > 50
    assert where.ravel()[inner].mean() > 0.99
    assert not where.ravel()[~outer].any()


def test_volumes_have_trees_too() -> None:
    roots, aims = np.zeros((2, 3)), np.eye(3)[:2]
    pieces, radii = grow(np.random.default_rng(0), roots, aims, **GROWN)
    where = stamp(pieces, radii, (20, 24, 28))
    assert where.shape == (20, 24, 28)
    assert 0 < where.mean() < 0.2
