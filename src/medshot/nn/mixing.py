"""How outputs of several predictors become one: in probabilities, or as numbers.

`link` says what outputs stand for, as `Task.link` does: `softmax` (log odds over k classes),
`sigmoid` (log odds of each of k), `identity` (numbers as they are).
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.core.errors import unknown

LINKS = ("identity", "sigmoid", "softmax")


def refuse_unknown_link(link: str) -> None:
    """Raise `ConfigError` unless `link` is one of these."""
    if link not in LINKS:
        raise unknown(link, LINKS, kind="link")


def mixed(
    outputs: Float[Tensor, "m n k *s"], scores: Float[Tensor, "m"], link: str
) -> Float[Tensor, "n k *s"]:
    """The output whose probabilities are the members' weighted mean; of numbers, the mean.

    Weights are the softmax of `scores`. All in logarithms, so that nothing small is lost.
    """
    shape = (-1, *[1] * (outputs.ndim - 1))
    if link == "identity":
        return (scores.softmax(0).view(shape) * outputs).sum(0)
    weights = scores.log_softmax(0).view(shape)
    if link == "softmax":
        return (weights + outputs.log_softmax(2)).logsumexp(0)
    there = (weights + F.logsigmoid(outputs)).logsumexp(0)
    return there - (weights + F.logsigmoid(-outputs)).logsumexp(0)


def comparable(outputs: Float[Tensor, "m n k *s"], link: str) -> Float[Tensor, "m n k *s"]:
    """Outputs without what does not count: log odds over classes become log probabilities."""
    return outputs.log_softmax(2) if link == "softmax" else outputs
