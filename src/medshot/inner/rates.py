"""Rules of update whose rates are meta-learnt."""

import torch
from torch import Tensor, nn

from medshot.inner.rule import Here, Params, State, UpdateRule


class PerParameterSGD(UpdateRule):
    """A learnt rate, direction included, for every scalar.

    Source: Li et al. 2017, Meta-SGD, arXiv:1707.09835: theta' = theta - alpha o gradient, with
    alpha of the size of theta. A template of size 1 along an axis has one rate for all of it.
    """

    def __init__(self, template: Params, lr: float) -> None:
        super().__init__()
        rates = {key(n): nn.Parameter(torch.full(p.shape, lr).to(p)) for n, p in template.items()}
        self.rates = nn.ParameterDict(rates)

    def update(self, grads: Params, state: State, here: Here) -> tuple[Params, State]:
        """Minus each rate times its gradient."""
        del here
        return {name: -self.rates[key(name)] * g for name, g in grads.items()}, state


class PerTensorSGD(UpdateRule):
    """One learnt rate for each parameter tensor at each of `steps` steps.

    Source: Antoniou et al. 2019, MAML++, arXiv:1810.09502, sec. 4 ("per-layer per-step learning
    rates"). Steps beyond those that were learnt take the last rates. With `steps=1`, every step
    has the same. `positive` learns logarithms, so that a rate cannot change its sign.
    """

    rates: Tensor

    def __init__(self, names: list[str], lr: float, steps: int, positive: bool = False) -> None:
        super().__init__()
        self.names, self.positive = names, positive
        start = torch.full((steps, len(names)), lr)
        self.rates = nn.Parameter(start.log() if positive else start)

    def init(self, params: Params) -> State:
        """No step taken."""
        del params
        return 0

    def update(self, grads: Params, state: State, here: Here) -> tuple[Params, State]:
        """Minus the rate of this tensor at this step times the gradient."""
        del here
        row = self.rates[min(state, len(self.rates) - 1)]
        rates = dict(zip(self.names, row.exp() if self.positive else row, strict=True))
        return {name: -rates[name] * g for name, g in grads.items()}, state + 1


def key(name: str) -> str:
    """`name` as a ParameterDict takes it: without dots."""
    return name.replace(".", "/")
