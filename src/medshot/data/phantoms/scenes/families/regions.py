"""Regions: tissues that share the picture out, told apart by tone or by grain alone."""

from typing import ClassVar

import numpy as np
from scipy import ndimage

from medshot.data.phantoms.fields import noise
from medshot.data.phantoms.scenes.canvas import Canvas
from medshot.data.phantoms.scenes.families.family import Family, Tissue, some


class Regions(Family):
    """The largest of several smooth random fields decides the tissue.

    Source: the shapes of Hoffmann et al. 2022, SynthMorph, IEEE Trans. Med. Imaging 41, 543-558.
    """

    styles: ClassVar = {"stain": 0.4, "grey": 0.4, "photo": 0.2}

    def __init__(self, rng: np.random.Generator, classes: int) -> None:
        count = max(classes + 1, int(rng.integers(2, 6)))
        self.bumps = int(rng.integers(2, 6))
        self.favour = 0.4 * rng.standard_normal(count)
        self.tissues = tuple(Tissue(f"region {i + 1}") for i in range(count))
        self.apart = tuple((i, j) for i in range(count) for j in range(i))

    def mark(self, rng: np.random.Generator, classes: int) -> list[tuple[int, ...]]:
        """Any of them."""
        return some(rng, list(range(1, len(self.tissues))), classes)

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """One field a tissue; each connected part of a tissue is a thing."""
        fields = [noise(rng, canvas.shape, self.bumps) + bias for bias in self.favour]
        largest = np.argmax(fields, 0)
        everywhere = tuple(slice(None) for _ in canvas.shape)
        for tissue in range(1, len(self.tissues)):
            parts = np.empty(canvas.shape, np.int32)
            ndimage.label(largest == tissue, output=parts)
            for part in range(1, int(parts.max()) + 1):
                canvas.paint(everywhere, parts == part, tissue)
