"""Data sets of which there is something to learn, in milliseconds."""

from dataclasses import replace

import torch

from medshot.data.dataset import Dataset
from medshot.nn import Conv4
from toys import SIZE, conv4, dataset


def stripes(n: int = 60, *, k: int = 3, channels: int = 1, seed: int = 0) -> Dataset:
    """Smooth stripes, the class is how many; in colour, red where it is bright."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % k
    phase = 6 * torch.rand(n, 1, 1, 1, generator=rng)
    rows = torch.arange(SIZE)[None, None, :, None] / SIZE
    bright = torch.sin(6.28 * (y[:, None, None, None] + 1) * rows + phase).expand(-1, -1, -1, SIZE)
    x = 0.5 + 0.4 * bright
    if channels == 3:
        x = torch.cat([x, 0.5 * x, 1 - x], 1)
    made = dataset(k, n // k, channels=channels)
    return replace(made, name="stripes", hash="of stripes", x=(255 * x).byte(), y=y)


def small(channels: int = 1) -> Conv4:
    """An encoder for them."""
    return conv4(channels=channels, halvings=2)
