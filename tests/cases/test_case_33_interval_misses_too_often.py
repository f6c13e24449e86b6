"""Pictures without any signal: scores are at chance on average, and intervals hold it."""

import numpy as np
import pytest

import medshot
from medshot.data.arrays import dataset
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import cross_validate

SETS = 60


def _noise(counts: tuple[int, ...], seed: int) -> Dataset:
    y = np.repeat(np.arange(len(counts)), counts)
    x = np.random.default_rng(seed).integers(0, 256, (len(y), 8, 8, 1)).astype(np.uint8)
    return dataset(x, y)


@pytest.mark.parametrize("counts", [(8, 8), (20, 6)])
def test_noise_is_at_chance_and_intervals_say_so(counts: tuple[int, ...]) -> None:
    learner = medshot.build("linear-probe", encoder=medshot.encoder("pixels", channels=1, size=8))
    found = [cross_validate(learner, _noise(counts, seed)) for seed in range(SETS)]
    for metric in ("balanced accuracy", "macro AUROC"):
        scores = [each.interval(metric) for each in found]
        means = np.array([score.mean for score in scores])
        assert means.mean() == pytest.approx(0.5, abs=3 * means.std() / SETS**0.5), metric
        missed = [not score.low <= 0.5 <= score.high for score in scores]
        assert np.mean(missed) <= 0.12, metric  # 0.05, and 2.5 standard errors of the simulation
