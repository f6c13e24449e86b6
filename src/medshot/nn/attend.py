"""Attention written out: the fused kernels cannot be differentiated twice on a CPU."""

from jaxtyping import Bool, Float
from torch import Tensor


def attend(
    queries: Float[Tensor, "*b n d"],
    keys: Float[Tensor, "*b m d"],
    values: Float[Tensor, "*b m e"],
    seen: Bool[Tensor, "n m"] | Bool[Tensor, "*b n m"] | None = None,
) -> Float[Tensor, "*b n e"]:
    """For each query the mean of the values, weighted by how well their keys match it.

    Source: Vaswani et al. 2017, arXiv:1706.03762 (scaled dot products, softmax). Where `seen`
    is given, of all examples or of each, a query looks only at what is true in its row.
    """
    scores = (queries / queries.shape[-1] ** 0.5) @ keys.transpose(-2, -1)
    if seen is not None:
        scores = scores.masked_fill(~seen, float("-inf"))
    return scores.softmax(-1) @ values
