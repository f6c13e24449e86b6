"""Thresholds with components, against SciPy's on disks, and their bad input."""

import numpy as np
import pytest
import torch
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops

from medshot.core.episode import Examples
from medshot.learners import build
from medshot.learners.baselines.thresholds import Components, components, otsu
from medshot.nn import encoder
from medshot.tasks import Detection
from toys import disks


def _adapted(support: Examples, k: int = 1) -> Components:
    made = encoder("intensities", channels=1, size=support.x.shape[-1])
    predictor = build("thresholds", encoder=made).adapt(support, Detection.of(k))
    assert isinstance(predictor, Components)
    return predictor


def test_disks_are_boxed() -> None:
    support = disks.disks(4, seed=0)
    support.x[:] = support.x.clamp(max=0.6)  # without the bright ones
    query = disks.disks(6, seed=1)
    query.x[:] = query.x.clamp(max=0.6)
    scores = disks.scores(_adapted(support), query)
    assert scores["AP50"] > 0.95
    assert scores["AP"] > 0.8
    assert scores["F1"] > 0.9


def test_the_components_are_those_above_otsus_threshold() -> None:
    image = disks.disks(1, seed=0).x[0]
    found = components(image, 0, -1.0, 1.0, 0)
    plane = -image[0].double().numpy()
    regions = regionprops(label(plane > threshold_otsu(plane), connectivity=1))
    expected = [[r.bbox[1], r.bbox[0], r.bbox[3], r.bbox[2]] for r in regions]
    np.testing.assert_allclose(found[:, :4] * disks.SIDE, expected)


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_constant_image_has_no_component(level: float) -> None:
    support = disks.disks(1, seed=0)
    flat = Examples(torch.full_like(support.x, level), support.y)
    predictor = _adapted(flat)
    assert predictor(flat.x).isfinite().all()
    assert len(components(flat.x[0], 0, 1.0, 1.0, 0)) == 0


def test_a_class_without_a_component_has_the_sizes_of_its_boxes() -> None:
    support = disks.disks(2, seed=0)
    support.y[0, 1] = torch.tensor([0.0, 0.0, 0.05, 0.9, 1])
    predictor = _adapted(support, 2)
    torch.testing.assert_close(predictor.means[1, :2], torch.tensor([0.05, 0.9]).log())


def test_the_threshold_is_that_of_scikit_image() -> None:
    filters = pytest.importorskip("skimage.filters")
    rng = np.random.default_rng(0)
    values = np.where(
        rng.random((40, 50)) < 0.3, rng.normal(3, 1, (40, 50)), rng.normal(0, 1, (40, 50))
    )
    assert otsu(values) == pytest.approx(filters.threshold_otsu(values))
