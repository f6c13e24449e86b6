"""A detector's maps from scores of sites, by hand."""

import math

import torch
from torch import Tensor

from medshot.nn import encoder
from medshot.nn.detectors import Centers, Responses
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


# What detectors with one pattern a class make of its responses.


class Twice(Responses):
    """The first channel, and its negative."""

    def respond(self, z: Tensor) -> Tensor:
        return torch.cat([z[:, :1], -z[:, :1]], 1)


def test_responses_become_logits_and_the_size_is_that_of_the_class_that_answers():
    sizes = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    gain, offset = torch.tensor([50.0, 50.0]), torch.tensor([1.0, 1.0])
    made = Twice(encoder("intensities", size=4, scaling="unit"), gain, offset, sizes, 2.0, 1.0)
    x = torch.full((1, 3, 4, 4), 0.5)
    output = made(x)[0, :, 0, 0]
    torch.testing.assert_close(output, torch.tensor([25 + 3.0, -25 + 3.0, 1.0, 2.0]))
