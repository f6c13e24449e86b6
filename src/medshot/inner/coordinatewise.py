"""Learnt optimizers that treat every scalar alike: one small network, applied to each."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.inner.rule import Here, Params, State, UpdateRule

P = 10.0  # the paper's p: gradients below exp(-p) count as small


class LSTMRule(UpdateRule):
    """A two-layer LSTM from a scalar's gradient to its update, with a memory for each scalar.

    Source: Andrychowicz et al. 2016, arXiv:1606.04474, sec. 2.1 (coordinatewise LSTM; no
    gradient through the gradients) and appendix A (preprocessing).

    Where we differ: `layers` and `hidden` are smaller (the paper: 2 and 20), and the update is
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
        """Empty memories."""
        hidden = self.out.in_features
        return {
            n: [(p.new_zeros(p.numel(), hidden),) * 2 for _ in self.cells]
            for n, p in params.items()
        }

    def update(self, grads: Params, state: State, here: Here) -> tuple[Params, State]:
        """Minus `lr` times the gradient, and what the LSTM adds to it."""
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
    """A small perceptron from a scalar's gradient and its running means to its update.

    Source: Metz et al. 2019, arXiv:1810.10180 (a small perceptron for each parameter, on the
    gradient and its momenta, whose output is a direction times the exponential of a magnitude).

    Where we differ: fewer inputs, each divided by the root mean square over its tensor, as
    theirs are; added to minus `lr` times the gradient, as in `LSTMRule`.
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
        """No momentum."""
        return {n: [p.new_zeros(p.shape) for _ in self.decays] for n, p in params.items()}

    def update(self, grads: Params, state: State, here: Here) -> tuple[Params, State]:
        """Minus `lr` times the gradient, and what the perceptron adds to it."""
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
    """A gradient spans decades: its logarithm and its sign, or, where small, its value.

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
