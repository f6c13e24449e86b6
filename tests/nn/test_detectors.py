"""A detector's maps from scores of sites, by hand."""

import math

import torch

from medshot.nn import encoder
from medshot.nn.detectors import Centers
from medshot.nn.heads import Linear


def test_the_logit_is_against_all_else_and_sizes_are_mixed_by_class():
    rng = torch.Generator().manual_seed(0)
    head = Linear(
        encoder("intensities", size=4, scaling="unit"),
        torch.randn(3, 4, generator=rng),
        torch.randn(4, generator=rng),
    )
    sizes, weight = torch.tensor([[-1.0, -2.0], [-3.0, -0.5]]), torch.randn(3, 2, generator=rng)
    bias, offset = torch.tensor([0.1, 0.2]), torch.tensor([0.5, -0.5])
    made = Centers(head, sizes, weight, bias, offset, rare=2.0, typical=0.1)
    x = torch.rand(1, 3, 4, 4, generator=rng)
    z = x[0, :, 1, 2]
    p = (z @ head.weight + head.bias).softmax(0)
    logits = (p[:2] / (1 - p[:2])).log() + offset + 2
    share = p[:2] / p[:2].sum()
    size = share @ sizes + z @ weight + bias - math.log(0.1)
    torch.testing.assert_close(made(x)[0, :, 1, 2], torch.cat([logits, size]))
