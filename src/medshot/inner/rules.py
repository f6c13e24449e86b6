"""Inner-loop update rules: gradient in, update out.

A rule is a pair of pure functions, `init` and `update`, as in optax, on an `nn.Module` that
holds its learned parameters (learning rates, an LSTM).

    state = rule.init(params)
    updates, state = rule.update(grads, state, GradientContext(params, loss))
    params = {name: p + updates[name] for name, p in params.items()}

Learned rules: coordinatewise networks, meta-learned rates, an LSTM cell.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
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


P = 10.0  # the p of Andrychowicz et al. 2016: below exp(-p) gradients enter linearly


class LSTMRule(UpdateRule):
    """LSTM from the gradient of each parameter to its update, with a state per parameter.

    Source: Andrychowicz et al. 2016, arXiv:1606.04474, sec. 2.1 (coordinatewise LSTM; no
    gradient through the gradients) and appendix A (preprocessing).

    Where we differ: `layers` and `hidden` are smaller (the paper: 2 and 20), and the output is
    added to minus `lr` times the gradient, so that the untrained rule is gradient descent.
    """

    def __init__(
        self, *, lr: float, hidden: int = 8, layers: int = 1, output_scale: float = 0.01
    ) -> None:
        super().__init__()
        sizes = [2] + [hidden] * layers
        self.cells = nn.ModuleList(nn.LSTMCell(a, hidden) for a in sizes[:-1])
        self.out = nn.Linear(hidden, 1)
        self.lr, self.output_scale = lr, output_scale

    def init(self, params: Params) -> State:
        """Zero states."""
        hidden = self.out.in_features
        return {
            n: [(p.new_zeros(p.numel(), hidden),) * 2 for _ in self.cells]
            for n, p in params.items()
        }

    def update(self, grads: Params, state: State, here: GradientContext) -> tuple[Params, State]:
        """Minus `lr` times the gradient, plus the LSTM's output."""
        del here
        updates, after = {}, {}
        for name, grad in grads.items():
            slope = grad.detach()
            signal, after[name] = log_and_sign(slope), []
            for cell, memory in zip(self.cells, state[name], strict=True):
                signal, kept = cell(signal, memory)
                after[name].append((signal, kept))
            moved = self.output_scale * self.out(signal).view_as(slope)
            updates[name] = moved - self.lr * slope
        return updates, after


class MLPRule(UpdateRule):
    """MLP from the gradient of each parameter and its moving averages to its update.

    Source: Metz et al. 2019, arXiv:1810.10180 (a small MLP per parameter, on gradient and
    momenta, whose output is a direction times the exponential of a magnitude).

    Where we differ: fewer inputs, each divided by its root mean square over the tensor, as
    theirs; added to minus `lr` times the gradient, as in `LSTMRule`.
    """

    def __init__(
        self,
        *,
        lr: float,
        hidden: int = 16,
        decays: tuple[float, ...] = (0.5, 0.9),
        output_scale: float = 0.01,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 + len(decays), hidden), nn.Tanh(), nn.Linear(hidden, 2)
        )
        self.lr, self.decays, self.output_scale = lr, decays, output_scale

    def init(self, params: Params) -> State:
        """Zero momenta."""
        return {n: [p.new_zeros(p.shape) for _ in self.decays] for n, p in params.items()}

    def update(self, grads: Params, state: State, here: GradientContext) -> tuple[Params, State]:
        """Minus `lr` times the gradient, plus the MLP's output."""
        updates, after = {}, {}
        for name, grad in grads.items():
            slope = grad.detach()
            kept = zip(self.decays, state[name], strict=True)
            after[name] = [d * m + (1 - d) * slope for d, m in kept]
            inputs = [slope, here.params[name].detach(), *after[name]]
            seen = torch.stack([_unit(i.flatten()) for i in inputs], 1)
            direction, magnitude = self.layers(seen).unbind(1)
            moved = self.output_scale * (direction * magnitude.exp()).view_as(slope)
            updates[name] = moved - self.lr * slope
        return updates, after


def log_and_sign(grad: Tensor) -> Float[Tensor, "n 2"]:
    """Log magnitude and sign of a gradient, or its scaled value if it is small.

    Source: Andrychowicz et al. 2016, arXiv:1606.04474, appendix A.
    """
    grad = grad.reshape(-1)
    small = grad.abs() < math.exp(-P)
    log = grad.abs().clamp(min=math.exp(-P)).log() / P
    first = torch.where(small, -1.0, log)
    second = torch.where(small, grad * math.exp(P), grad.sign())
    return torch.stack([first, second], 1)


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().mean() + 1e-12).sqrt()


class PerParameterSGD(UpdateRule):
    """SGD with a learned, signed learning rate per parameter.

    Source: Li et al. 2017, Meta-SGD, arXiv:1707.09835: theta' = theta - alpha o gradient, with
    alpha of the size of theta. Along an axis where the template has size 1, the rate is shared.
    """

    def __init__(self, template: Params, lr: float) -> None:
        super().__init__()
        rates = {key(n): nn.Parameter(torch.full(p.shape, lr).to(p)) for n, p in template.items()}
        self.rates = nn.ParameterDict(rates)

    def update(self, grads: Params, state: State, here: GradientContext) -> tuple[Params, State]:
        """Minus rate times gradient."""
        del here
        return {name: -self.rates[key(name)] * g for name, g in grads.items()}, state


class PerTensorSGD(UpdateRule):
    """SGD with a learned rate for each parameter tensor at each of `steps` steps.

    Source: Antoniou et al. 2019, MAML++, arXiv:1810.09502, sec. 4 ("per-layer per-step learning
    rates"). Steps beyond `steps` use the last rates; with `steps=1` all steps share them.
    `positive` parameterizes rates by their logarithm, so that they cannot change sign.
    """

    rates: Tensor

    def __init__(self, names: list[str], lr: float, steps: int, positive: bool = False) -> None:
        super().__init__()
        self.names, self.positive = names, positive
        start = torch.full((steps, len(names)), lr)
        self.rates = nn.Parameter(start.log() if positive else start)

    def init(self, params: Params) -> State:
        """The step counter, 0."""
        del params
        return 0

    def update(self, grads: Params, state: State, here: GradientContext) -> tuple[Params, State]:
        """Minus the tensor's rate at this step times the gradient."""
        del here
        row = self.rates[min(state, len(self.rates) - 1)]
        rates = dict(zip(self.names, row.exp() if self.positive else row, strict=True))
        return {name: -rates[name] * g for name, g in grads.items()}, state + 1


def key(name: str) -> str:
    """`name` without dots, which ParameterDict does not allow in keys."""
    return name.replace(".", "/")


class MetaLSTMRule(UpdateRule):
    """theta_t = f_t o theta_{t-1} - i_t o gradient, with learned gates f_t and i_t.

    Source: Ravi & Larochelle 2017, "Optimization as a model for few-shot learning", ICLR, sec.
    3.1: gates are logistic in the gradient, the loss, the parameter and the previous gate; the
    first two are preprocessed as in Andrychowicz et al. 2016 and passed through an LSTM layer
    shared by all parameters. As there, no gradient flows through gradients and losses.

    Where we differ: gate biases are initialized such that the rule is gradient descent at rate
    `lr` with almost no decay.
    """

    def __init__(self, *, lr: float, hidden: int = 8, keep: float = 8.0) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(4, hidden)
        self.forget, self.write = nn.Linear(hidden + 2, 1), nn.Linear(hidden + 2, 1)
        with torch.no_grad():
            for gate in (self.forget, self.write):
                gate.weight.mul_(0.01)
            self.forget.bias.fill_(keep)
            self.write.bias.fill_(torch.logit(torch.tensor(lr)).item())

    def init(self, params: Params) -> State:
        """Zero LSTM states, and gates at their bias values."""
        return {n: self._empty(p.reshape(-1)) for n, p in params.items()}

    def update(self, grads: Params, state: State, here: GradientContext) -> tuple[Params, State]:
        """(f_t - 1) o theta_{t-1} - i_t o gradient."""
        loss = log_and_sign(here.loss.detach())
        updates, after = {}, {}
        for name, grad in grads.items():
            slope, theta = grad.detach().reshape(-1), here.params[name].reshape(-1)
            memory, before = state[name]
            signal = torch.cat([log_and_sign(slope), loss.expand(len(slope), 2)], 1)
            memory = self.cell(signal, memory)
            forget, write = self._gates(memory[0], theta.detach(), before)
            updates[name] = ((forget - 1) * theta - write * slope).view_as(grad)
            after[name] = memory, (forget, write)
        return updates, after

    def _gates(
        self,
        hidden: Float[Tensor, "n h"],
        theta: Float[Tensor, "n"],
        before: tuple[Float[Tensor, "n"], Float[Tensor, "n"]],
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
        seen = [torch.cat([hidden, theta[:, None], b[:, None]], 1) for b in before]
        return self.forget(seen[0]).sigmoid()[:, 0], self.write(seen[1]).sigmoid()[:, 0]

    def _empty(self, like: Float[Tensor, "n"]) -> State:
        memory = (like.new_zeros(len(like), self.cell.hidden_size),) * 2
        gates = self.forget.bias.sigmoid(), self.write.bias.sigmoid()
        return memory, tuple(gate.to(like).expand(len(like)) for gate in gates)
