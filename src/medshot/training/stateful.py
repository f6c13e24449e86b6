"""Parts of a learner that change or draw as it learns, in the order of what they see."""

from torch import nn

_STATEFUL = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


def stateful_part(module: nn.Module) -> str | None:
    """The first such part (batch norm that keeps statistics, dropout) and its kind, if any."""
    for name, part in module.named_modules():
        if isinstance(part, _STATEFUL) and getattr(part, "track_running_stats", True):
            return f"{name} ({type(part).__name__})"
    return None
