"""Trainable copy of a predictor: its head, and the layers below it that a method trains."""

from collections.abc import Iterator
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from medshot.core.errors import ConfigError
from medshot.core.predictor import Predictor, settled, trainable
from medshot.core.registry import called
from medshot.stages.finetune.methods import FineTuneMethod, Move, get_method

TOLD = ("labels",)  # tensors of a head that are data and not fitted


def below_head(whole: nn.Module) -> list[nn.Module]:
    """Modules with weights of their own in an encoder, or in a predictor below its head."""
    modules = [module for module in whole.modules() if not isinstance(module, Predictor)]
    return [m for m in modules if next(m.parameters(recurse=False), None) is not None]


def of_head(predictor: Predictor) -> Iterator[Move]:
    """The tensors that were fitted to the support, where `trainable` made them parameters."""
    for part in predictor.modules():
        if isinstance(part, Predictor):
            for name, _ in part.named_parameters(recurse=False):
                if name not in TOLD:
                    yield Move(part, name)


class TrainableCopy:
    """A copy of `predictor` with trainable head, and with the weights of the method `way`.

    Raises:
        ConfigError: the predictor has no such weights.
    """

    def __init__(self, predictor: Predictor, way: FineTuneMethod) -> None:
        copied = trainable(predictor)
        if not predictor.exportable:
            raise ConfigError(
                f"{called(predictor)} is not differentiable, so nothing in it can be fine-tuned. "
                "Take another learner."
            )
        self.way, self.predictor = way, copied.requires_grad_(False)
        below, head = moves_below(self.predictor, way), [*of_head(self.predictor)]
        if not below + head:
            raise ConfigError(
                f"{called(predictor)} has no trainable weights. Keep the model unchanged, or adapt "
                "with another learner, such as linear-probe."
            )
        self.moves = head + below
        self._starts = [_now(move).detach().clone() for move in self.moves]
        for move in self.moves:
            if move.change is None:
                _now(move).requires_grad_(True)
            else:
                parametrize.register_parametrization(move.layer, move.weight, move.change)

    @property
    def moving(self) -> int:
        """Number of trainable parameters."""
        return sum(p.numel() for p in self.predictor.parameters() if p.requires_grad)

    def distance(self) -> Float[Tensor, ""]:
        """Squared distance of all weights to their initial values."""
        pairs = zip(self.moves, self._starts, strict=True)
        return torch.stack([(_now(move) - start).square().sum() for move, start in pairs]).sum()

    def settled(self) -> Predictor:
        """The current predictor with its usual modules: added ones are folded into weights."""
        for move in self.moves:
            if parametrize.is_parametrized(move.layer, move.weight):
                parametrize.remove_parametrizations(move.layer, move.weight)
        return settled(self.predictor)


def _now(move: Move) -> Tensor:
    return cast(Tensor, getattr(move.layer, move.weight))


def moves_below(whole: nn.Module, way: FineTuneMethod) -> list[Move]:
    """The weights that the method `way` trains, of an encoder or of a predictor below its head.

    Raises:
        ConfigError: there are no such weights.
    """
    found = [*way.moves(below_head(whole))]
    if way.asks and not found:
        inner = next(whole.children(), whole) if isinstance(whole, Predictor) else whole
        raise ConfigError(
            f"{called(inner)} has no {way.asks}, so {way.name!r} has nothing to train below "
            "the head. Take 'head', or an encoder that has some, such as conv4 or unet."
        )
    return found


def default_method(predictor: Predictor) -> str:
    """Default method: lora, or head where lora has no weights to train."""
    found = next(get_method("lora").moves(below_head(predictor)), None)
    return "head" if found is None else "lora"
