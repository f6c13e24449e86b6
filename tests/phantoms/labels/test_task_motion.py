import numpy as np

from medshot.phantoms.fields import ellipse, grid
from medshot.phantoms.labels.task import move


def test_motion_is_small_and_never_the_same() -> None:
    x, y = grid(64)
    still = ellipse(x, y, (0.2, -0.1), (0.4, 0.3))
    moved = [move(still, np.random.default_rng(seed)) for seed in range(20)]
    centres = np.array([[(x * m).sum() / m.sum(), (y * m).sum() / m.sum()] for m in moved])
    assert np.abs(centres - [0.2, -0.1]).max() < 0.12
    assert len(np.unique(centres[:, 0])) == 20
    assert moved[0].dtype == np.float32
