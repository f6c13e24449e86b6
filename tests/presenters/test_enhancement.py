"""What a report shows of enhanced images: the worst first."""

import numpy as np
import pytest
import torch

from medshot.data.load import load
from medshot.evaluation.cross_validation import OutOfFold
from medshot.presenters.enhancement import image_examples, support_of_images
from toys.pairs import pairs


@pytest.fixture
def dataset(tmp_path):
    return load(pairs(tmp_path / "set", 8), channels=1, size=24)


def test_those_that_lost_most_come_first(dataset):
    mixed = np.linspace(0, 1, 8)[:, None, None, None]  # the last answers are the targets
    given = dataset.examples()
    decoded = (mixed * given.y.numpy() + (1 - mixed) * given.x.numpy()).astype(float)
    decoded[3] = 0
    everyone = torch.arange(8).numpy()
    found = OutOfFold(decoded, given.y.numpy(), everyone, 5, dataset.task, 0 * everyone)
    shown = image_examples(dataset, found)
    assert len(shown) == 6
    assert [each.name for each in shown[:3]] == ["3.png", "0.png", "1.png"]
    assert shown[0].patient == "p1"
    after, before = shown[0].scores["PSNR (dB)"]
    assert after < before
    nothing = shown[1].scores["SSIM"]
    assert nothing[0] == pytest.approx(nothing[1])
    assert np.array_equal(shown[1].answer, shown[1].pixels)


def test_the_support_is_shown_in_pairs(dataset):
    found = support_of_images(dataset)
    assert found.n_images == 8
    assert found.n_patients == 4
    assert {heading: len(each) for heading, each in found.by_label().items()} == {
        "Images": 6,
        "Targets": 6,
    }
    assert "targets" in found.goal
