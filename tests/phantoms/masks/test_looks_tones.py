"""Tones: each style has the values of its modality."""

import numpy as np
import pytest

from medshot.phantoms.masks.looks import _STYLES, palette


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
