"""What detectors with one pattern a class make of its responses."""

import torch
from torch import Tensor

from medshot.nn import encoder
from medshot.nn.detectors import Responses


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
