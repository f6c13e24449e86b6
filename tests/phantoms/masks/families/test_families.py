"""Families: what each says of its tissues, and what it paints."""

import numpy as np
import pytest

from medshot.phantoms.masks.canvas import Canvas, turn
from medshot.phantoms.masks.families import FAMILIES, KINDS
from medshot.phantoms.masks.looks import _STYLES

SEEDS = range(12)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_what_is_marked_is_there_and_no_tissue_is_of_two_classes(family: str, classes: int) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        made = KINDS[family](rng, classes)
        marked = made.mark(rng, classes)
        flat = [tissue for tissues in marked for tissue in tissues]
        assert len(marked) == classes
        assert len(flat) == len(set(flat))
        assert set(flat) <= set(range(1, len(made.tissues)))
        assert {t for pair in made.apart for t in pair} <= set(range(len(made.tissues)))


@pytest.mark.parametrize("family", FAMILIES)
def test_tissues_that_must_be_seen_apart_are_not_said_to_be_alike(family: str) -> None:
    for seed in SEEDS:
        made = KINDS[family](np.random.default_rng(seed), 1)
        like = [i if t.like is None else t.like for i, t in enumerate(made.tissues)]
        assert all(like[a] != like[b] for a, b in made.apart)
        assert sum(made.styles.values()) == pytest.approx(1.0)
        assert set(made.styles) <= set(_STYLES)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [(40, 40), (20, 24, 28)])
def test_a_scene_holds_known_tissues_and_things(family: str, shape: tuple[int, ...]) -> None:
    for seed in SEEDS[:4]:
        rng = np.random.default_rng(seed)
        made, canvas = KINDS[family](rng, 2), Canvas(shape)
        made.draw(canvas, rng)
        assert canvas.tissue.max() < len(made.tissues)
        assert len(np.unique(canvas.tissue)) > 1
        assert canvas.thing.max() < len(canvas.parts)
        assert np.isfinite(canvas.at).all()


def test_walls_close_cells() -> None:
    """Without walls the picture falls apart into about as many parts as there are seeds."""
    from scipy import ndimage  # noqa: PLC0415

    rng = np.random.default_rng(1)
    made = KINDS["membranes"](rng, 1)
    made.across, made.wall, made.large, made.small = 6.0, 0.1, 0, 0
    canvas = Canvas((128, 128))
    made.draw(canvas, rng)
    assert 15 < ndimage.label(canvas.tissue != 2)[1] < 70


def test_walls_lie_between_the_two_nearest_seeds() -> None:
    """Against all distances to all seeds, drawn again from the same stream."""
    made, canvas = KINDS["membranes"](np.random.default_rng(1), 1), Canvas((40, 40))
    made.across, made.stretch, made.uneven = 5.0, 1.0, 0.3
    first, second, _ = made._nearest(canvas, np.random.default_rng(2))

    rng = np.random.default_rng(2)
    place = np.tensordot((turn(rng, 2) * 2.5).astype(np.float32), canvas.at, 1)
    low = np.floor(place).reshape(2, -1)
    start, stop = low.min(1).astype(int) - 1, low.max(1).astype(int) + 1
    extent = tuple(stop - start + 1)
    seeds = 0.5 + 0.3 * rng.uniform(-1, 1, (2, *extent)) + np.indices(extent)
    seeds += start[:, None, None]
    away = place.reshape(2, -1, 1) - seeds.reshape(2, 1, -1)
    ordered = np.sort(np.sqrt((away**2).sum(0)), 1)
    assert np.allclose(first.ravel(), ordered[:, 0], atol=1e-4)
    assert np.mean(np.abs(second.ravel() - ordered[:, 1]) < 1e-4) > 0.99


def test_anatomy_is_the_task_s() -> None:
    """Two images of one task of organs overlap more than those of two tasks."""
    made = [KINDS["organs"](np.random.default_rng(seed), 1) for seed in range(8)]
    maps = []
    for i, family in enumerate(made):
        pair = [Canvas((48, 48)) for _ in range(2)]
        for j, canvas in enumerate(pair):
            family.draw(canvas, np.random.default_rng([i, j]))
        maps.append([canvas.tissue >= 3 for canvas in pair])
    own = np.mean([_overlap(a, b) for a, b in maps])
    others = np.mean([_overlap(maps[i][0], maps[i - 1][1]) for i in range(8)])
    assert others + 0.2 < own < 1.0


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())
