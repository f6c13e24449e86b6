"""The update of a meta-learner that is itself an LSTM cell: the parameters are its cell state."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.inner.coordinatewise import log_and_sign
from medshot.inner.rule import Here, Params, State, UpdateRule


class MetaLSTMRule(UpdateRule):
    """theta_t = f_t o theta_{t-1} - i_t o gradient, with learnt gates f_t and i_t.

    Source: Ravi & Larochelle 2017, "Optimization as a model for few-shot learning", ICLR, sec.
    3.1: the gates are logistic in the gradient, the loss, the parameter and the gate before; the
    first two preprocessed as in Andrychowicz et al. 2016, and passed through an LSTM layer that
    all scalars share. No gradient through the gradients and losses, as there.

    Where we differ: the gates' biases start so that the rule is descent at rate `lr` that
    forgets next to nothing.
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
        """Empty memories, gates as their biases have them."""
        return {n: self._empty(p.reshape(-1)) for n, p in params.items()}

    def update(self, grads: Params, state: State, here: Here) -> tuple[Params, State]:
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
