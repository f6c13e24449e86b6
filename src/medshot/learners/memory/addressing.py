"""Memory addressing: content-based reading and least-recently-used writing.

A memory is a matrix of s slots; addressing weights are nonnegative rows over the slots. Label
codes occupy columns of their own, so reading those columns gives a prediction.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

NOTHING = 1e-2  # norm below which an empty slot's cosine goes to 0
FLOOR = 1e-6  # keeps the log finite


def content_weights(
    keys: Float[Tensor, "n h w"], memory: Float[Tensor, "s w"], strength: Float[Tensor, "h"]
) -> Float[Tensor, "n h s"]:
    """Softmax over slots of `strength` times the cosine between key and slot."""
    return (strength[:, None] * directions(keys) @ directions(memory).T).softmax(-1)


def directions(rows: Float[Tensor, "*n w"]) -> Float[Tensor, "*n w"]:
    """Approximately L2-normalized rows; near-zero rows stay short."""
    return rows / (rows.square().sum(-1, keepdim=True) + NOTHING**2).sqrt()


def least_used(usage: Float[Tensor, "s"], heads: int) -> Float[Tensor, "h s"]:
    """One-hot rows of the least used slots, a different one per head."""
    slots = usage.argsort(stable=True)[:heads]
    return F.one_hot(slots, len(usage)).to(usage)


def write_weights(
    gate: Float[Tensor, "h"], read: Float[Tensor, "h s"], least: Float[Tensor, "h s"]
) -> Float[Tensor, "h s"]:
    """Interpolate between the slots just read (`gate` 1) and the least used (`gate` 0)."""
    return gate[:, None] * read + (1 - gate[:, None]) * least


def usage_after(
    usage: Float[Tensor, "s"],
    read: Float[Tensor, "h s"],
    written: Float[Tensor, "h s"],
    decay: float,
) -> Float[Tensor, "s"]:
    """Decay `usage`, then add the read and write weights."""
    return decay * usage + read.sum(0) + written.sum(0)


def label_logits(mass: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Log of the mass read from the label columns; its softmax normalizes the mass."""
    return torch.log(mass + FLOOR)
