"""Normalization layers by policy, attention, and the contrastive loss.

In few-shot learning the normalization policy is a result:

| policy | statistics of | one image alone = in a batch |
|---|---|---|
| group | the image itself (Wu & He 2018, arXiv:1803.08494) | yes |
| batch | meta-training, kept (Ioffe & Szegedy 2015, arXiv:1502.03167) | yes, in eval mode |
| transductive | the batch at hand, also at test time (as in Finn et al. 2017) | no |

Attention is written out, because the fused kernels cannot be differentiated twice on a CPU.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from medshot.core.errors import ConfigError, unknown

GROUPS = 8
POLICIES = ("batch", "group", "none", "transductive")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def norm(policy: str, channels: int, dims: int = 2) -> nn.Module:
    """A normalisation layer for `n channels *s`, of `dims` spatial axes.

    Raises:
        ConfigError: an unknown policy, or channels that cannot be grouped.
    """
    if policy == "group":
        groups = min(GROUPS, channels)
        if channels % groups:
            raise ConfigError(
                f"Normalisation by group divides channels into {GROUPS}, and a width of {channels} "
                f"cannot be. Take a multiple of {GROUPS}, or another norm."
            )
        return nn.GroupNorm(groups, channels)
    batch_norm = nn.BatchNorm3d if dims == 3 else nn.BatchNorm2d
    if policy == "batch":
        return batch_norm(channels)
    if policy == "transductive":
        return batch_norm(channels, track_running_stats=False)
    if policy == "none":
        return nn.Identity()
    raise unknown(policy, POLICIES, kind="normalisation policy")


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


class SelfAttention(nn.Module):
    """Tokens look at each other, then two linear maps; both added to what was there.

    Source: Vaswani et al. 2017, arXiv:1706.03762, normalised before instead of after (Xiong et
    al. 2020, arXiv:2002.04745).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.mix = nn.LayerNorm(width), nn.Linear(width, width)
        self.asked = nn.Linear(width, 3 * width)
        self.after = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(
        self, x: Float[Tensor, "n m w"], seen: Bool[Tensor, "n m"] | None = None
    ) -> Float[Tensor, "n m w"]:
        """The tokens after they have looked at those that are `seen`; all, if that is not said."""
        asked = self.asked(self.before(x)).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = asked.permute(2, 0, 3, 1, 4)  # three of n heads m v
        mask = None if seen is None else seen[:, None, None].expand(*queries.shape[:-1], -1)
        found = attend(queries, keys, values, mask)
        x = x + self.mix(found.transpose(1, 2).flatten(2))
        return x + self.after(x)


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
