"""Fast weights made of a loss gradient, number by number."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

SMALLEST = 7.0  # numbers from e^-7 up are told apart by their logarithm


class FromGradient(nn.Module):
    """A step down the gradient, `rate` wide, and a learnt correction of every number.

    Source: Munkhdalai & Yu 2017, arXiv:1703.00837 (m, the same small network for every number),
    which takes the logarithm and the sign of a number as Andrychowicz et al. 2016,
    arXiv:1606.04474, do, with p = 7.

    Where we differ: one inverse hyperbolic sine, which is a logarithm with a sign for large
    numbers and a multiple for small ones, has no kink. And the step is ours: without it fast
    weights begin as noise, with it as one step of gradient descent.
    """

    def __init__(self, rate: float, hidden: int = 8) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(float(rate)))
        last = nn.Linear(hidden, 1)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        self.correction = nn.Sequential(nn.Linear(1, hidden), nn.Tanh(), last)

    def forward(self, gradient: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Fast weights of the gradient's shape."""
        pressed = torch.asinh(gradient * torch.e**SMALLEST) / SMALLEST
        return self.correction(pressed[..., None])[..., 0] - self.rate * gradient
