"""What a predictor is made of, for who moves its weights: a head, and layers below it."""

from collections.abc import Iterator

from torch import nn

from medshot.core.predictor import Predictor
from medshot.finetuning.way import Move

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TOLD = ("labels",)  # of a head's tensors: what somebody said of the support, and nobody fitted


def below_head(whole: nn.Module) -> list[nn.Module]:
    """What has weights of its own in an encoder or in a predictor, whose head is left out."""
    modules = [module for module in whole.modules() if not isinstance(module, Predictor)]
    return [m for m in modules if next(m.parameters(recurse=False), None) is not None]


def of_head(predictor: Predictor) -> Iterator[Move]:
    """What was fitted to the support, where `trainable` has made it parameters."""
    for part in predictor.modules():
        if isinstance(part, Predictor):
            for name, _ in part.named_parameters(recurse=False):
                if name not in TOLD:
                    yield Move(part, name)
