"""The contrastive loss: what belongs together close, all else apart."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def supervised_contrast(similarity: Float[Tensor, "n n"], y: Int[Tensor, "n"]) -> Float[Tensor, ""]:
    """The mean over anchors i and positives p of -log softmax_{a != i}(s_ia) at p.

    Anchors are the rows with at least one other of their class; there must be one.

    Source: Khosla et al. 2020, arXiv:2004.11362, L_out^sup. With two rows a class, two views of
    one image, it is the loss of Chen et al. 2020, arXiv:2002.05709.
    """
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    positive = (y[:, None] == y) & ~itself
    shares = similarity.masked_fill(itself, -math.inf).log_softmax(1)
    each = shares.masked_fill(~positive, 0).sum(1)
    count = positive.sum(1)
    return -(each / count.clamp(min=1)).sum() / (count > 0).sum()
