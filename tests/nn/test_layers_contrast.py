"""The contrastive loss against the formulas of two papers, written as loops."""

import math

import torch
import torch.nn.functional as F

from medshot.nn.layers import supervised_contrast


def test_two_views_an_image_are_simclrs_loss():
    z = F.normalize(torch.randn(8, 5), dim=1)
    y = torch.arange(4).repeat(2)
    slow = 0.0
    for i in range(8):
        j = (i + 4) % 8
        against = sum(math.exp(z[i] @ z[a] / 0.3) for a in range(8) if a != i)
        slow -= math.log(math.exp(z[i] @ z[j] / 0.3) / against) / 8
    torch.testing.assert_close(supervised_contrast(z @ z.T / 0.3, y), torch.tensor(slow))


def test_features_that_say_nothing_score_as_chance_does():
    same = torch.zeros(6, 6)
    loss = supervised_contrast(same, torch.tensor([0, 0, 1, 1, 2, 2]))
    torch.testing.assert_close(loss, torch.tensor(math.log(5)))
