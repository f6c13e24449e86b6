"""Hypernetwork: an outer network predicts the inner network's weights and step sizes."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Task, part
from medshot.inner.rules import GradientContext, Params, State, UpdateRule
from medshot.inner.unroll import unroll
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import Head, class_means, prototype_head, widened
from medshot.tasks import Classification, one_hot

WEIGHTS = ("hidden", "hidden_bias", "out", "direct", "bias")


@part("predictor", "perceptron")
class Perceptron(Head):
    """`perceptron` on an encoder's features, with adapted weights."""

    def __init__(
        self,
        encoder: nn.Module,
        hidden: Float[Tensor, "f h"],
        hidden_bias: Float[Tensor, "h"],
        out: Float[Tensor, "h k"],
        direct: Float[Tensor, "f k"],
        bias: Float[Tensor, "k"],
    ) -> None:
        values = hidden, hidden_bias, out, direct, bias
        super().__init__(encoder, **dict(zip(WEIGHTS, values, strict=True)))

    def on_features(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Logits."""
        return perceptron({name: getattr(self, name) for name in WEIGHTS}, z)


def perceptron(weights: Mapping[str, Tensor], z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
    """tanh(z hidden + hidden_bias) out + z direct + bias."""
    with torch.autocast(z.device.type, enabled=False):
        hidden = torch.tanh(z @ weights["hidden"] + weights["hidden_bias"])
        return hidden @ weights["out"] + z @ weights["direct"] + weights["bias"]


@register("hypernetwork")
class Hypernetwork(OnFeatures):
    """Predicts a small network and its step sizes for the task, then fine-tunes it.

    Source: Ha, Dai & Le 2016, arXiv:1609.09106 (one network generates the weights of another);
    Gidaris & Komodakis 2018, arXiv:1804.09458 (class weights from a few features); Rusu et al.
    2018, arXiv:1807.05960 (generated weights, then gradient steps); Baik et al. 2020,
    arXiv:2011.00209 (step sizes generated per task). The set encoding, means of encoded elements,
    is that of Zaheer et al. 2017, arXiv:1703.06114.

    The outer network embeds each image's features and averages them per class and over classes.
    The mean over classes gives the inner network's hidden layer and a step size for each of its
    tensors at each step; a class mean together with it gives that class's output weights. The
    inner network (`perceptron`) then takes `steps` exact gradient steps on the support.

    Where we differ: the inner network is only the head, one hidden layer of `hidden` units with a
    linear skip connection; Ha et al. generate whole networks. The generated weights are added to
    the prototype classifier in the skip connection (Gidaris & Komodakis start from class means
    too, with cosines). Rusu et al. take steps in the latent code, we in the weights. Step sizes
    are generated from the support, not from gradients as in Baik et al., and start near `lr`.
    """

    supports = (Classification,)
    source = "Ha et al. 2016, arXiv:1609.09106"
    vectorizes = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int = 64,
        hidden: int = 8,
        steps: int = 2,
        lr: float = 0.5,
    ) -> None:
        super().__init__()
        for name, value in (("width", width), ("hidden", hidden), ("steps", steps)):
            if value < 1:
                raise ConfigError(f"{name} is {value}, but must be at least 1.")
        self.encoder, self.hidden, self.steps, self.lr = encoder, hidden, steps, lr
        f = n_features(encoder)
        self.log_scale = nn.Parameter(torch.tensor(f**-0.5).log())
        self.image = nn.Sequential(nn.Linear(f, width), nn.GELU())
        self.shared = nn.Linear(width, (f + 1) * hidden)
        self.rates = nn.Linear(width, steps * len(WEIGHTS))
        self.single = nn.Sequential(
            nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, hidden + f + 1)
        )
        with torch.no_grad():  # start close to the prototypes
            for p in self.single[2].parameters():
                p.mul_(0.1)

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Perceptron:
        """Generate the inner network, then take gradient steps."""
        with torch.autocast(z.device.type, enabled=False):
            # features of about unit length make step sizes independent of the encoder
            length = (z.square().sum(1).mean() + 1e-8).sqrt()  # sqrt has no gradient at 0
            start, rates = self._written(z, length, one_hot(y, task.n_outputs, like=z))

            def loss(weights: Params) -> Tensor:
                # times k: step sizes are then independent of the number of classes
                return task.n_outputs * task.loss(perceptron(weights, z / length), y)

            end = dict(unroll(start, loss, WrittenRates(rates), steps=self.steps))
            end |= {name: end[name] / length for name in ("hidden", "direct")}
        return Perceptron(encoder, **end)

    def _written(
        self, z: Float[Tensor, "n f"], length: Float[Tensor, ""], labels: Float[Tensor, "n k"]
    ) -> tuple[Params, Float[Tensor, "steps w"]]:
        """Inner network for features divided by `length`, and its learning rates."""
        f = z.shape[1]
        classes = class_means(self.image(widened(z)), labels)  # k width
        task = classes.mean(0)
        hidden, hidden_bias = self.shared(task).view(f + 1, self.hidden).split([f, 1])
        both = torch.cat([classes, task.expand_as(classes)], 1)
        out, direct, bias = self.single(both).T.split([self.hidden, f, 1])
        weight, offset = prototype_head(z, labels, self.log_scale.exp())
        values = (hidden, hidden_bias[0], out, weight * length + direct, offset + bias[0])
        rates = self.lr * self.rates(task).exp().view(self.steps, -1)
        return dict(zip(WEIGHTS, values, strict=True)), rates


class WrittenRates(UpdateRule):
    """Gradient descent with a separate learning rate for every step and tensor."""

    def __init__(self, rates: Float[Tensor, "steps w"]) -> None:
        super().__init__()
        self.register_buffer("rates", rates)

    def init(self, params: Params) -> State:
        """The step counter."""
        del params
        return 0

    def update(self, grads: Params, state: State, here: GradientContext) -> tuple[Params, State]:
        """Minus learning rate times gradient, for each tensor."""
        del here
        rates = self.get_buffer("rates")[state]
        moves = {n: -rate * g for (n, g), rate in zip(grads.items(), rates, strict=True)}
        return moves, state + 1
