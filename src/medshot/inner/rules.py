"""Inner-loop update rules: gradient in, update out.

A rule is a pair of pure functions, `init` and `update`, as in optax, on an `nn.Module` that
holds its learned parameters (learning rates, an LSTM).

    state = rule.init(params)
    updates, state = rule.update(grads, state, GradientContext(params, loss))
    params = {name: p + updates[name] for name, p in params.items()}
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

Params = Mapping[str, Tensor]
State = Any


class GradientContext(NamedTuple):
    """Parameters and loss at which a gradient was computed; most rules ignore it."""

    params: Params
    loss: Float[Tensor, ""]


class UpdateRule(nn.Module, ABC):
    """Maps gradients to updates. Its parameters, if any, are meta-learned."""

    def init(self, params: Params) -> State:
        """State before the first step: a pytree of tensors and numbers."""
        del params
        return None

    @abstractmethod
    def update(self, grads: Params, state: State, here: GradientContext) -> tuple[Params, State]:
        """Updates to add to the parameters, and the next state."""


class SGD(UpdateRule):
    """Gradient descent with a fixed learning rate."""

    def __init__(self, lr: float) -> None:
        super().__init__()
        self.lr = lr

    def update(self, grads: Params, state: State, here: GradientContext) -> tuple[Params, State]:
        """Minus learning rate times gradient."""
        del here
        return {name: -self.lr * g for name, g in grads.items()}, state


class Adam(UpdateRule):
    """Differentiable Adam: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1."""

    def __init__(
        self, lr: float, *, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        super().__init__()
        self.lr, self.beta1, self.beta2, self.epsilon = lr, beta1, beta2, epsilon

    def init(self, params: Params) -> State:
        """Step counter 0 and zero moments."""
        zero = {name: p.new_zeros(p.shape) for name, p in params.items()}
        return 0, zero, zero

    def update(self, grads: Params, state: State, here: GradientContext) -> tuple[Params, State]:
        """Minus learning rate times the bias-corrected first moment over the root of the second."""
        del here
        taken, mean, square = state
        taken += 1
        mean = {n: self.beta1 * mean[n] + (1 - self.beta1) * g for n, g in grads.items()}
        square = {n: self.beta2 * square[n] + (1 - self.beta2) * g**2 for n, g in grads.items()}
        unbiased, wide = 1 - self.beta1**taken, 1 - self.beta2**taken
        # epsilon inside the root: sqrt has no gradient at 0, where a parameter got no gradient
        size = {n: (s / wide + self.epsilon**2).sqrt() for n, s in square.items()}
        return {n: -self.lr * mean[n] / unbiased / size[n] for n in grads}, (taken, mean, square)
