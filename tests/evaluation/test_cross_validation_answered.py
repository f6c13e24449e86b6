"""A predictor's answers, and the paired difference of two."""

import numpy as np
import torch

import toys
from medshot.evaluation.cross_validation import answered
from medshot.learners.registry import build


def test_the_answers_are_those_of_the_predictor_image_by_image():
    data = toys.dataset(shots=15)
    predictor = build("nearest-centroid", encoder=toys.conv4()).adapt(data)
    found = answered(predictor, data)
    wanted = torch.cat([predictor(x[None]) for x in data.examples().x]).double().softmax(1)
    np.testing.assert_allclose(found.decoded, wanted.numpy(), atol=1e-5)
    right = wanted.argmax(1) == data.y
    by_class = [right[data.y == c].double().mean().item() for c in range(3)]
    assert found.interval("balanced accuracy").mean == np.mean(by_class)


def test_beside_itself_nothing_is_gained():
    data = toys.dataset()
    predictor = build("nearest-centroid", encoder=toys.conv4()).adapt(data)
    minus = answered(predictor, data).minus(answered(predictor, data), "balanced accuracy")
    assert (minus.mean, minus.low, minus.high) == (0, 0, 0)
