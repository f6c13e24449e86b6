"""Where a memory is read and written: by likeness of content, and where it was least used.

A memory is a matrix of s slots. Weights over its slots are rows of numbers of 0 or more. The
labels of what was written lie in columns of their own, so what is read there is an answer.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

NOTHING = 1e-2  # a slot whose content is shorter than this resembles no key
FLOOR = 1e-6  # the logarithm of nothing read is not defined


def content_weights(
    keys: Float[Tensor, "n h w"], memory: Float[Tensor, "s w"], strength: Float[Tensor, "h"]
) -> Float[Tensor, "n h s"]:
    """The softmax over slots of `strength` times the cosine between key and slot."""
    return (strength[:, None] * directions(keys) @ directions(memory).T).softmax(-1)


def directions(rows: Float[Tensor, "*n w"]) -> Float[Tensor, "*n w"]:
    """Each row at length 1; shorter, where it is hardly more than nothing."""
    return rows / (rows.square().sum(-1, keepdim=True) + NOTHING**2).sqrt()


def least_used(usage: Float[Tensor, "s"], heads: int) -> Float[Tensor, "h s"]:
    """For each of `heads` heads a slot of its own, the least used first, as a row of 0 and 1."""
    slots = usage.argsort(stable=True)[:heads]
    return F.one_hot(slots, len(usage)).to(usage)


def write_weights(
    gate: Float[Tensor, "h"], read: Float[Tensor, "h s"], least: Float[Tensor, "h s"]
) -> Float[Tensor, "h s"]:
    """Between where a head has just read (`gate` 1) and its least used slot (`gate` 0)."""
    return gate[:, None] * read + (1 - gate[:, None]) * least


def usage_after(
    usage: Float[Tensor, "s"],
    read: Float[Tensor, "h s"],
    written: Float[Tensor, "h s"],
    decay: float,
) -> Float[Tensor, "s"]:
    """Usage fades by `decay` and grows by what was read and written."""
    return decay * usage + read.sum(0) + written.sum(0)


def label_logits(mass: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """What was read from the columns of the labels, as logits whose softmax is its shares."""
    return torch.log(mass + FLOOR)
