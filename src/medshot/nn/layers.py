"""Normalization layers by policy, attention, and the supervised contrastive loss.

In few-shot learning results depend on the normalization policy:

| policy | statistics of | batch-independent |
|---|---|---|
| group | the image itself (Wu & He 2018, arXiv:1803.08494) | yes |
| batch | meta-training, running (Ioffe & Szegedy 2015, arXiv:1502.03167) | yes, in eval mode |
| transductive | the current batch, also at test time (as in Finn et al. 2017) | no |

Attention is implemented here because fused kernels have no second derivative on CPUs.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, unknown

GROUPS = 8
POLICIES = ("batch", "group", "none", "transductive")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def norm(policy: str, channels: int, dims: int = 2) -> nn.Module:
    """Normalization layer for `n channels *s`, with `dims` spatial axes.

    Raises:
        ConfigError: an unknown policy, or a number of channels that is not divisible.
    """
    if policy == "group":
        groups = min(GROUPS, channels)
        if channels % groups:
            raise ConfigError(
                f"Group normalization divides channels into {GROUPS} groups, but the width is "
                f"{channels}. Use a multiple of {GROUPS}, or another norm."
            )
        return nn.GroupNorm(groups, channels)
    batch_norm = nn.BatchNorm3d if dims == 3 else nn.BatchNorm2d
    if policy == "batch":
        return batch_norm(channels)
    if policy == "transductive":
        return batch_norm(channels, track_running_stats=False)
    if policy == "none":
        return nn.Identity()
    raise unknown(policy, POLICIES, kind="normalization policy")


def attend(
    queries: Float[Tensor, "*b n d"],
    keys: Float[Tensor, "*b m d"],
    values: Float[Tensor, "*b m e"],
    seen: Bool[Tensor, "n m"] | Bool[Tensor, "*b n m"] | None = None,
) -> Float[Tensor, "*b n e"]:
    """Scaled dot-product attention.

    Source: Vaswani et al. 2017, arXiv:1706.03762. `seen` masks keys, for all examples or per
    example: a query attends only where its row is True.
    """
    scores = (queries / queries.shape[-1] ** 0.5) @ keys.transpose(-2, -1)
    if seen is not None:
        scores = scores.masked_fill(~seen, float("-inf"))
    return scores.softmax(-1) @ values


class SelfAttention(nn.Module):
    """Pre-norm transformer layer: self-attention and an MLP, with residual connections.

    Source: Vaswani et al. 2017, arXiv:1706.03762, with normalization before instead of after each
    block (Xiong et al. 2020, arXiv:2002.04745).
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
        """Update the tokens by attending to those that are `seen` (default: all)."""
        projected = self.asked(self.before(x)).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = projected.permute(2, 0, 3, 1, 4)  # three of n heads m v
        mask = None if seen is None else seen[:, None, None].expand(*queries.shape[:-1], -1)
        found = attend(queries, keys, values, mask)
        x = x + self.mix(found.transpose(1, 2).flatten(2))
        return x + self.after(x)


def supervised_contrast(similarity: Float[Tensor, "n n"], y: Int[Tensor, "n"]) -> Float[Tensor, ""]:
    """Supervised contrastive loss: mean -log softmax_{a != i}(s_ia) at positives p.

    Averaged over the anchors i, the rows with another row of their class; there must be one.

    Source: Khosla et al. 2020, arXiv:2004.11362, L_out^sup. With two rows per class, two views of
    one image, it is the loss of Chen et al. 2020, arXiv:2002.05709 (SimCLR).
    """
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    positive = (y[:, None] == y) & ~itself
    shares = similarity.masked_fill(itself, -math.inf).log_softmax(1)
    each = shares.masked_fill(~positive, 0).sum(1)
    count = positive.sum(1)
    return -(each / count.clamp(min=1)).sum() / (count > 0).sum()
