"""Looks: tones that are apart where they must be, and light that varies by patient and image."""

import numpy as np
import pytest

from medshot.phantoms import FAMILIES
from medshot.phantoms.masks.canvas import Canvas
from medshot.phantoms.masks.families import KINDS
from medshot.phantoms.masks.looks import _STYLES, draw_looks, draw_style, palette

SEEDS = range(20)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_must_be_seen_apart_is_apart_and_the_alike_are_alike(family: str) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        made = KINDS[family](rng, 1)
        looks = draw_looks(rng, made, draw_style(rng, made))
        tones = looks.tones[list(looks.like)]
        assert ((tones >= 0) & (tones <= 1)).all()
        assert all(np.abs(tones[a] - tones[b]).max() > 0.01 for a, b in made.apart)
        for i, tissue in enumerate(made.tissues):
            if tissue.like is not None:
                assert np.array_equal(tones[i], tones[tissue.like])
                assert looks.fine[i] == looks.fine[tissue.like]
            if tissue.near is not None:
                others = np.abs(tones - tones[i]).mean(1)
                assert 0 < others[tissue.near] < others.max()


def test_styles_have_their_odds() -> None:
    rng, made = np.random.default_rng(0), KINDS["organs"](np.random.default_rng(0), 1)
    drawn = [draw_style(rng, made) for _ in range(300)]
    assert drawn.count("grey") > drawn.count("photo") > drawn.count("any") > 0
    assert set(drawn) == {"grey", "photo", "any"}


def test_light_is_the_patient_s_and_grain_the_image_s() -> None:
    rng = np.random.default_rng(3)
    made = KINDS["cells"](rng, 1)
    looks, canvas = draw_looks(rng, made, "stain"), Canvas((48, 48))
    made.draw(canvas, rng)

    def paint(patient: int, image: int) -> np.ndarray:
        return looks.paint(canvas, np.random.default_rng(patient), np.random.default_rng(image))

    assert np.array_equal(paint(0, 1), paint(0, 1))
    assert not np.array_equal(paint(0, 1), paint(2, 1))
    assert not np.array_equal(paint(0, 1), paint(0, 2))
    assert paint(0, 1).shape == (3, 48, 48)
    assert 0 <= paint(0, 1).min() < paint(0, 1).max() <= 1


# Tones: each style has the values of its modality.


@pytest.mark.parametrize("style", _STYLES)
def test_a_palette_has_a_tone_a_tissue_and_dark_ones_are_dark(style: str) -> None:
    for seed in range(20):
        tones = palette(np.random.default_rng(seed), style, [False, False, True])
        assert tones.shape in {(3, 1), (3, 3)}
        assert tones.dtype == np.float32
        assert ((tones >= 0) & (tones <= 1)).all()
        assert tones[2].max() <= 0.05


def test_styles_are_as_their_modality() -> None:
    def drawn(style: str) -> np.ndarray:
        tones = [palette(np.random.default_rng(s), style, [False] * 4) for s in range(60)]
        return np.stack([np.broadcast_to(t, (4, 3)) for t in tones])

    glow, stain, photo = (drawn(style) for style in ("fluorescence", "stain", "photo"))
    assert glow[:, 0].max() < 0.13 < glow[:, 1:].mean()
    assert stain[:, 0].mean() > stain[:, 1:].mean() + 0.1  # the ground is the light one
    assert (photo[..., 0] > photo[..., 2]).mean() > 0.8  # skin is more red than blue
