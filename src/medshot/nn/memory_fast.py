"""Slow weights, and fast weights made of loss gradients, kept in a memory and read by likeness."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.memory_gates import Gates, attend
from medshot.nn.memory_gradient import FromGradient


class Kept(NamedTuple):
    """What an episode leaves: fast weights for all of it, and a memory of them by example."""

    looking: Float[Tensor, "w w"]  # Q*, fast weights of the representation
    keys: Float[Tensor, "s w"]
    strength: Float[Tensor, "s"]
    hidden: Float[Tensor, "s w w"]  # W*, first layer
    output: Float[Tensor, "s k w"]  # W*, last layer


@part("memory", "fast")
class FastMemory(nn.Module):
    """A representation to look with, a base network to answer with, each slow plus fast.

    Source and differences: see the learner `meta-memory`.
    """

    def __init__(self, n_features: int, way: int, slots: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.narrow = nn.Linear(n_features, width, bias=False)
        self.looking = nn.Linear(width, width, bias=False)  # Q
        self.hidden = nn.Linear(width, width, bias=False)  # W, first layer
        self.output = nn.Linear(width, way, bias=False)  # W, last layer
        for layer in (self.narrow, self.looking, self.hidden):
            nn.init.orthogonal_(layer.weight)
        nn.init.normal_(self.output.weight, std=0.1)
        self.look_rule = FromGradient(rate=1.0)
        self.hidden_rule, self.output_rule = FromGradient(rate=0.3), FromGradient(rate=0.3)
        self.sharpness = nn.Parameter(torch.tensor(3.0))
        self.gates = Gates(slots)

    def write(self, z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"]) -> Kept:
        """Fast weights for every example, and what the gates keep of them."""
        with torch.autocast(z.device.type, enabled=False):
            z = self._narrowed(z)
            looking = self.look_rule(self._look_gradient(z, labels))
            keys = self._keys(z, looking)
            loss, by_hidden, by_output = self._gradients(z, labels)
            size = (by_hidden.square().sum((1, 2)) + by_output.square().sum((1, 2)) + 1e-6).log()
            news = torch.stack([loss, size], dim=1)
            held, kept = self.gates(keys @ keys.T, labels @ labels.T, news, self.sharpness)
            hidden, output = self.hidden_rule(by_hidden[held]), self.output_rule(by_output[held])
            return Kept(looking, keys[held], kept, hidden, output)

    def recall(self, z: Float[Tensor, "n f"], *written: Tensor) -> Float[Tensor, "n k"]:
        """Logits, each of `z` with the fast weights that its own attention reads."""
        kept = Kept(*written)
        with torch.autocast(z.device.type, enabled=False):
            z = self._narrowed(z)
            likeness = self._keys(z, kept.looking) @ kept.keys.T
            attention = attend(self.sharpness * likeness, kept.strength)
            fast = torch.einsum("ns,shw,nw->nh", attention, kept.hidden, z)
            h = self.hidden(z).tanh() + fast.tanh()
            slow = h @ self.output.weight[: kept.output.shape[1]].T
            return slow + torch.einsum("ns,skh,nh->nk", attention, kept.output, h)

    def _narrowed(self, z: Tensor) -> Float[Tensor, "n w"]:
        return F.layer_norm(self.narrow(z), (self.width,))

    def _keys(self, z: Float[Tensor, "n w"], fast: Float[Tensor, "w w"]) -> Float[Tensor, "n w"]:
        return F.normalize(self.looking(z).tanh() + (z @ fast.T).tanh(), dim=1)

    def _look_gradient(self, z: Tensor, labels: Tensor) -> Float[Tensor, "w w"]:
        """The gradient for Q of the loss of telling the examples apart by likeness."""
        graph, weight = torch.is_grad_enabled(), self.looking.weight
        with torch.enable_grad():  # fast weights are gradients, also where none is asked for
            weight = weight if graph and weight.requires_grad else weight.detach().requires_grad_()
            keys = F.normalize((z @ weight.T).tanh(), dim=1)
            right = (self.sharpness * keys @ keys.T).softmax(1) * (labels @ labels.T)
            loss = -right.sum(1).log().mean()
            return torch.autograd.grad(loss, weight, create_graph=graph)[0]

    def _gradients(
        self, z: Float[Tensor, "n w"], labels: Float[Tensor, "n k"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n w w"], Float[Tensor, "n k w"]]:
        """Each example's cross-entropy with slow weights only, and its gradients for both layers.

        Written out, because automatic differentiation gives the sum over examples, not each.
        """
        output = self.output.weight[: labels.shape[1]]
        h = self.hidden(z).tanh()
        logs = (h @ output.T).log_softmax(1)
        error = logs.exp() - labels
        back = error @ output * (1 - h.square())
        by_hidden, by_output = back[:, :, None] * z[:, None], error[:, :, None] * h[:, None]
        return -(logs * labels).sum(1), by_hidden, by_output
