"""Meta networks: fast weights from loss gradients, stored in a memory with attention."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Predictor, Task, TaskError, part
from medshot.learners.base import OnFeatures
from medshot.learners.memory.ntm import FLOOR
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import FastRecall
from medshot.tasks import Classification, one_hot

NEWS = 2  # inputs per example: its loss and log squared gradient norm


class Gates(nn.Module):
    """Learned write gate per example and forget gate per slot, for sequential reading.

    Inputs are the example's loss and gradient norm (`news`) and its relation to the memory: key
    similarity, label agreement, slot strengths, and whether the memory would have predicted the
    label. One small network serves all slots, so it is invariant to their number and order and to
    the number of classes.
    """

    def __init__(self, slots: int, hidden: int = 8) -> None:
        super().__init__()
        self.slots = slots
        self.write = _gate(2 + NEWS, hidden, start=2.0)
        self.forget = _gate(3 + NEWS, hidden, start=-4.0)

    def forward(
        self,
        likeness: Float[Tensor, "n n"],
        agreement: Float[Tensor, "n n"],
        news: Float[Tensor, "n 2"],
        sharpness: Float[Tensor, ""],
    ) -> tuple[Int[Tensor, "s"], Float[Tensor, "s"]]:
        """Indices of the examples in the final memory, and their strengths.

        `likeness` (n n) is the cosine between the keys of two examples, in reading order; times
        `sharpness` it is the attention logit. `agreement` (n n) is 1 where their labels are equal.
        """
        held = torch.zeros(0, dtype=torch.long, device=news.device)
        strength = news.new_zeros(0)
        for i, example in enumerate(news):
            near, same = likeness[i, held], agreement[i, held]
            attention = weighted_softmax(sharpness * near, strength)
            written = self.write_gate(near, same, attention, example)
            strength = strength * (1 - self.forget_gate(near, same, strength, example))
            if len(held) == self.slots:
                left = torch.arange(self.slots, device=held.device) != strength.argmin()
                held, strength = held[left], strength[left]
            held = torch.cat([held, held.new_tensor([i])])
            strength = torch.cat([strength, written])
        return held, strength

    def write_gate(
        self,
        near: Float[Tensor, "s"],
        same: Float[Tensor, "s"],
        attention: Float[Tensor, "s"],
        example: Float[Tensor, "2"],
    ) -> Float[Tensor, "1"]:
        """Write strength of an example, given the memory's prediction for it."""
        known, alike = attention @ same, attention @ near
        return self.write(torch.cat([torch.stack([known, alike]), example])).sigmoid()

    def forget_gate(
        self,
        near: Float[Tensor, "s"],
        same: Float[Tensor, "s"],
        strength: Float[Tensor, "s"],
        example: Float[Tensor, "2"],
    ) -> Float[Tensor, "s"]:
        """Fraction of each slot that the example erases."""
        slots = torch.stack([near, same, strength], dim=1)
        return self.forget(torch.cat([slots, example.expand(len(slots), -1)], dim=1)).sigmoid()[
            :, 0
        ]


def weighted_softmax(
    likeness: Float[Tensor, "*n s"], strength: Float[Tensor, "s"]
) -> Float[Tensor, "*n s"]:
    """Softmax over slots, each counted `strength` times."""
    return (likeness + (strength + FLOOR).log()).softmax(-1)


def _gate(inputs: int, hidden: int, start: float) -> nn.Sequential:
    last = nn.Linear(hidden, 1)
    nn.init.constant_(last.bias, start)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), last)


SMALLEST = 7.0  # p of Andrychowicz et al. 2016: magnitudes above e^-7 are log-scaled


class FromGradient(nn.Module):
    """Fast weights: a gradient step of size `rate` plus a learned elementwise correction.

    Source: Munkhdalai & Yu 2017, arXiv:1703.00837 (m, the same small network for every
    coordinate), which preprocesses with logarithm and sign as Andrychowicz et al. 2016,
    arXiv:1606.04474, do, with p = 7.

    Where we differ: one inverse hyperbolic sine, logarithmic for large and linear for small
    magnitudes, is smooth. The gradient step is ours: without it fast weights start as noise, with
    it as one step of gradient descent.
    """

    def __init__(self, rate: float, hidden: int = 8) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(float(rate)))
        last = nn.Linear(hidden, 1)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        self.correction = nn.Sequential(nn.Linear(1, hidden), nn.Tanh(), last)

    def forward(self, gradient: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Fast weights, in the shape of the gradient."""
        pressed = torch.asinh(gradient * torch.e**SMALLEST) / SMALLEST
        return self.correction(pressed[..., None])[..., 0] - self.rate * gradient


class Kept(NamedTuple):
    """State after an episode: global fast weights, and a memory of fast weights per example."""

    looking: Float[Tensor, "w w"]  # Q*, fast weights of the representation
    keys: Float[Tensor, "s w"]
    strength: Float[Tensor, "s"]
    hidden: Float[Tensor, "s w w"]  # W*, first layer
    output: Float[Tensor, "s k w"]  # W*, last layer


@part("memory", "fast")
class FastMemory(nn.Module):
    """A representation network for keys and a base network for logits, slow plus fast.

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
        """Fast weights for every example, reduced to those that the gates keep."""
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
        """Logits, with fast weights read by each query's own attention."""
        kept = Kept(*written)
        with torch.autocast(z.device.type, enabled=False):
            z = self._narrowed(z)
            likeness = self._keys(z, kept.looking) @ kept.keys.T
            attention = weighted_softmax(self.sharpness * likeness, kept.strength)
            fast = torch.einsum("ns,shw,nw->nh", attention, kept.hidden, z)
            h = self.hidden(z).tanh() + fast.tanh()
            slow = h @ self.output.weight[: kept.output.shape[1]].T
            return slow + torch.einsum("ns,skh,nh->nk", attention, kept.output, h)

    def _narrowed(self, z: Tensor) -> Float[Tensor, "n w"]:
        return F.layer_norm(self.narrow(z), (self.width,))

    def _keys(self, z: Float[Tensor, "n w"], fast: Float[Tensor, "w w"]) -> Float[Tensor, "n w"]:
        return F.normalize(self.looking(z).tanh() + (z @ fast.T).tanh(), dim=1)

    def _look_gradient(self, z: Tensor, labels: Tensor) -> Float[Tensor, "w w"]:
        """Gradient for Q of a similarity-based classification loss of the examples."""
        graph, weight = torch.is_grad_enabled(), self.looking.weight
        with torch.enable_grad():  # fast weights need gradients at test time too
            weight = weight if graph and weight.requires_grad else weight.detach().requires_grad_()
            keys = F.normalize((z @ weight.T).tanh(), dim=1)
            right = (self.sharpness * keys @ keys.T).softmax(1) * (labels @ labels.T)
            loss = -right.sum(1).log().mean()
            return torch.autograd.grad(loss, weight, create_graph=graph)[0]

    def _gradients(
        self, z: Float[Tensor, "n w"], labels: Float[Tensor, "n k"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n w w"], Float[Tensor, "n k w"]]:
        """Cross-entropy per example with slow weights, and its gradients for both layers.

        Computed by hand, because autograd returns the sum over examples.
        """
        output = self.output.weight[: labels.shape[1]]
        h = self.hidden(z).tanh()
        logs = (h @ output.T).log_softmax(1)
        error = logs.exp() - labels
        back = error @ output * (1 - h.square())
        by_hidden, by_output = back[:, :, None] * z[:, None], error[:, :, None] * h[:, None]
        return -(logs * labels).sum(1), by_hidden, by_output


@register("meta-memory")
class MetaMemory(OnFeatures):
    """Slow weights plus fast ones, read from the support images that a query resembles.

    Source: Munkhdalai & Yu 2017, arXiv:1703.00837. From the paper: a representation u with slow
    weights Q and fast weights Q*; a base network b with slow weights W and fast weights W*_i,
    computed from the loss gradient of each support image by a small network shared by all
    coordinates (m); a memory of the W*_i, indexed by the representations r_i; cosine attention,
    by which a query reads its own W*; and layers that add the outputs of slow and fast weights.
    Munkhdalai et al. 2018, arXiv:1712.09926, also store quantities made of loss gradients.

    Ours: the meta-controller. The paper keeps every example with equal weight. Here the support
    is read one image at a time, and a small network decides how strongly each is written and how
    much of every slot is forgotten. Its inputs are the loss, the gradient norm and, per slot, key
    similarity, label agreement and current strength. Strengths weight the attention. When all
    `slots` are taken, the weakest is replaced (a discrete choice, without gradient).

    Where we differ:
    - u and b read encoder features, projected to `width` by a slow linear map, instead of pixels;
      b has two layers, u one, and tanh replaces the paper's ReLU, for continuous gradients.
    - Q* comes from the mean gradient over the support by a second such network, not from an LSTM
      over a sample of it. Its loss asks each image to be most similar to its own class.
    - Each rule starts as one step of gradient descent. The last layer's gradient for an image is
      (p - y) h^T, so its fast weights associate features with the label code: before training, a
      query reads the labels of similar images. The attention has a learned sharpness for the same
      reason; a plain cosine is nearly flat.
    """

    supports = (Classification,)
    source = "Munkhdalai & Yu 2017, arXiv:1703.00837"
    unit = True
    order_matters = True

    def __init__(
        self, encoder: nn.Module, *, way: int = 20, slots: int = 128, width: int = 32
    ) -> None:
        super().__init__()
        if slots < 1:
            raise ConfigError(f"slots is {slots}, but a memory needs at least one.")
        self.encoder, self.way = encoder, way
        self.memory = FastMemory(n_features(encoder), way, slots, width)

    def check(self, task: Task) -> None:
        """Also raise `TaskError` for more classes than the slow weights have outputs."""
        super().check(task)
        if task.n_outputs > self.way:
            raise TaskError(
                f"This meta-memory has slow weights for {self.way} classes, but the task has "
                f"{task.n_outputs}. Train one with way={task.n_outputs} or more."
            )

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Compute fast weights from each image's gradients; the gates decide what is kept."""
        kept = self.memory.write(z, one_hot(y, task.n_outputs, like=z))
        return FastRecall(encoder, self.memory, *kept)
