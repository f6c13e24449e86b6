"""Normalisation layers by policy, because in few-shot learning the policy is a result.

| policy | statistics of | one image alone = in a batch |
|---|---|---|
| group | the image itself (Wu & He 2018, arXiv:1803.08494) | yes |
| batch | meta-training, kept (Ioffe & Szegedy 2015, arXiv:1502.03167) | yes, in eval mode |
| transductive | the batch at hand, also at test time (as in Finn et al. 2017) | no |
"""

from torch import nn

from medshot.core.errors import ConfigError, unknown

GROUPS = 8
POLICIES = ("batch", "group", "none", "transductive")
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
