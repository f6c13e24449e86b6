"""Images with dark disks that are boxed, and bright ones that are not."""

import torch

from medshot.core.episode import Examples
from medshot.core.predictor import Predictor
from medshot.tasks import Detection

SIDE, RADIUS = 48, 5
TASK = Detection.of(1)


def disks(n: int, seed: int) -> Examples:
    """`n` images with two dark disks and two bright ones, none over another."""
    rng = torch.Generator().manual_seed(seed)
    x, y = 0.1 * torch.rand(n, 1, SIDE, SIDE, generator=rng) + 0.45, torch.zeros(n, 2, 5)
    down, across = torch.meshgrid(*[torch.arange(SIDE)] * 2, indexing="ij")
    for i in range(n):
        for j, cell in enumerate(torch.randperm(9, generator=rng)[:4].tolist()):
            row, column = 8 + 16 * (cell // 3), 8 + 16 * (cell % 3)
            disk = (down - row) ** 2 + (across - column) ** 2 <= RADIUS**2
            x[i, 0, disk] += 0.3 if j < 2 else -0.3
            if j >= 2:
                ends = [column - RADIUS, row - RADIUS, column + RADIUS + 1, row + RADIUS + 1]
                y[i, j - 2, :4] = torch.tensor(ends) / SIDE
    return Examples(x, y)


def scores(predictor: Predictor, query: Examples) -> dict[str, float]:
    """Every metric of the answers to `query`."""
    decoded = TASK.decode(predictor(query.x).detach().double()).numpy()
    evidence = TASK.metric_inputs(decoded, query.y.numpy())
    return {metric: score(*evidence) for metric, score in TASK.metrics.items()}
