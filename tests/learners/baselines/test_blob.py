"""Blobs: dark disks of one size on a noisy ground, among bright ones."""

from medshot.learners import build
from medshot.learners.baselines.blob import Blobs
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
