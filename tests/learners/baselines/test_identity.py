"""Who does nothing gives the image back."""

import torch

import toys
from medshot.learners import build
from medshot.nn.encoders.identity import AsIs
from medshot.tasks import Enhancement


def test_the_image_comes_back():
    episode = toys.episode(Enhancement(3))
    learner = build("identity", encoder=AsIs(channels=8))
    found = learner.adapt(episode.support, episode.task)(episode.query.x)
    assert torch.equal(found, episode.query.x[:, :3])
