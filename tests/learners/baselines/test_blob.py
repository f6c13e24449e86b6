"""Blobs: dark disks of one size on a noisy ground, among bright ones."""

import numpy as np
import torch
from scipy import ndimage

from medshot.learners import build
from medshot.learners.baselines.blob import Blobs, laplacian
from medshot.nn import encoder
from toys import disks


def test_dark_disks_are_found_among_bright_ones():
    support, query = disks.disks(4, seed=0), disks.disks(6, seed=1)
    made = build("blob", encoder=encoder("intensities", channels=1, size=disks.SIDE))
    predictor = made.adapt(support, disks.TASK)
    assert isinstance(predictor, Blobs)
    assert predictor.gain[0] > 0  # dark in the middle: the Laplacian is above 0
    scores = disks.scores(predictor, query)
    assert scores["AP50"] > 0.9
    assert scores["F1"] > 0.9


# The Laplacian against SciPy's, and blobs that are found where they are.


def test_the_laplacian_is_scipys():
    z = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    found = laplacian(z, 2.0)
    assert found.shape == z.shape
    options = {"sigma": 2.0, "mode": "nearest", "truncate": 3.0}
    expected = 4 * ndimage.gaussian_laplace(z[1, 2].double().numpy(), **options)
    np.testing.assert_allclose(found[1, 2], expected, atol=0.02)


def test_a_bright_disk_answers_most_in_its_middle():
    y, x = torch.meshgrid(*[torch.arange(32.0)] * 2, indexing="ij")
    image = torch.zeros(1, 3, 32, 32)
    image[:, 1] = ((y - 20) ** 2 + (x - 9) ** 2 < 16).float()
    one = torch.ones(1)
    made = encoder("intensities", size=32, scaling="unit")
    blobs = Blobs(made, [4 / 2**0.5], [1], -one, 2 * one, torch.zeros(1, 2))
    output = blobs(image)
    assert output.shape == (1, 3, 32, 32)
    assert divmod(int(output[0, 0].argmax()), 32) == (20, 9)
    plain = -laplacian(image[:, 1:2], 4 / 2**0.5) + 2
    torch.testing.assert_close(output[:, :1], plain)
