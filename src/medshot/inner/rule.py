"""How parameters move inside an episode: gradient in, update out.

A rule is a pair of pure functions, `init` and `update`, as in optax, on an `nn.Module` so
that whatever is learnt about moving (rates, an LSTM) has a home.

    state = rule.init(params)
    updates, state = rule.update(grads, state)
    params = {name: p + updates[name] for name, p in params.items()}
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

Params = Mapping[str, Tensor]
State = Any


class UpdateRule(nn.Module, ABC):
    """Turns gradients into updates. Its parameters, if any, are meta-learnt."""

    def init(self, params: Params) -> State:
        """State before the first step. None for rules without memory."""
        del params
        return None

    @abstractmethod
    def update(self, grads: Params, state: State) -> tuple[Params, State]:
        """Updates to add to the parameters, and the next state."""


class SGD(UpdateRule):
    """A fixed rate for every parameter."""

    def __init__(self, lr: float) -> None:
        super().__init__()
        self.lr = lr

    def update(self, grads: Params, state: State) -> tuple[Params, State]:
        """Minus the rate times the gradient."""
        return {name: -self.lr * g for name, g in grads.items()}, state
