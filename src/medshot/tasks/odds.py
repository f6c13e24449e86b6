"""How far answers to questions of yes or no are from others."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def divergence_of_odds(
    output: Float[Tensor, "*s"], other: Float[Tensor, "*s"], temperature: float = 1.0
) -> Float[Tensor, ""]:
    """T^2 KL(other || output) of each logit by itself, softened by T; the mean over all."""
    ours, theirs = output / temperature, other / temperature
    p = theirs.sigmoid()
    apart = p * (F.logsigmoid(theirs) - F.logsigmoid(ours))
    apart = apart + (1 - p) * (F.logsigmoid(-theirs) - F.logsigmoid(-ours))
    return temperature**2 * apart.mean()
