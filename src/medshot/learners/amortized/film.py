"""FiLM: modulate the encoder's normalization layers with a summary of the support."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from medshot.core import ConfigError, Episode, Examples, Learner, Task, eval_mode
from medshot.inner.rules import Params
from medshot.learners.gradient.maml import Adapted
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import features, prototype_head
from medshot.nn.layers import NORMS
from medshot.tasks import Classification, one_hot


@register("film")
class FiLM(Learner):
    """A generator predicts the encoder's scales and shifts for each task; prototype head.

    Source: Requeima et al. 2019, arXiv:1906.07697 (CNAPs: the mean over the support generates
    the modulation of a feature extractor); Perez et al. 2018, arXiv:1709.07871 (FiLM: one scale
    and one shift per channel). For each normalization layer with scale g and shift b, the
    generator outputs s and t, and the layer uses g (1 + s) and b + t.

    Where we differ: the head is not CNAPs' generated classifier but scaled squared distances to
    class means, as in prototypical networks, in the form of the equivalent linear head. The
    support is summarized by the encoder's own unmodulated features instead of a second network.
    Encoder and generator are trained together; theirs is pretrained and frozen. An encoder
    without normalization layers has its features scaled instead (a shift would change no
    distance).
    """

    supports = (Classification,)
    source = "Requeima et al. 2019, arXiv:1906.07697"
    vectorizes = True
    adapts_encoder = True

    def __init__(self, encoder: nn.Module, *, width: int = 64) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"width is {width}, but must be at least 1.")
        self.encoder = encoder
        f = n_features(encoder)
        self._sizes = {name: p.numel() for name, p in norm_parameters(encoder).items()}
        outputs = sum(self._sizes.values()) or f
        self.generator = nn.Sequential(nn.Linear(f, width), nn.GELU(), nn.Linear(width, outputs))
        self.log_scale = nn.Parameter(torch.tensor(f**-0.5).log())
        with torch.no_grad():  # start close to the identity
            for p in self.generator[2].parameters():
                p.mul_(0.1)

    def learn(self, support: Examples, task: Task) -> Adapted:
        """Modulate the encoder, then average the features of each class."""
        body, stretch = self._modulation(support.x)
        z = self._encoded(body, support.x)
        weight, bias = self._head(z, support, task, stretch)
        params = {f"encoder.{name}": p for name, p in body.items()}
        return Adapted(self.encoder, {**params, "head.weight": weight, "head.bias": bias})

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """Query loss, with support and query encoded in one pass by the modulated encoder.

        One pass is faster, and with norm="batch" both share batch statistics. Otherwise the value
        equals that of adapting and then predicting.
        """
        support, query = episode.support, episode.query
        body, stretch = self._modulation(support.x)
        z = self._encoded(body, torch.cat([support.x, query.x]))
        weight, bias = self._head(z[: len(support)], support, episode.task, stretch)
        with torch.autocast(z.device.type, enabled=False):
            return episode.task.loss(z[len(support) :] @ weight + bias, query.y)

    def _modulation(self, x: Float[Tensor, "n c *s"]) -> tuple[Params, Float[Tensor, "..."]]:
        """Parameters of the modulated layers, and the factor of the features."""
        with eval_mode(self.encoder):  # do not mix in unmodulated batch-norm statistics
            z = features(self.encoder, x, unit=True)
        with torch.autocast(z.device.type, enabled=False):
            written = self.generator(z.mean(0) * z.shape[1] ** 0.5)
        if not self._sizes:
            return {}, 1 + written
        own = norm_parameters(self.encoder)
        parts = zip(own.items(), written.split(list(self._sizes.values())), strict=True)
        return {name: _moved(name, p, part.view_as(p)) for (name, p), part in parts}, z.new_ones(())

    def _encoded(self, body: Params, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n f"]:
        return functional_call(self.encoder, dict(body), (x,)).to(self.log_scale.dtype)

    def _head(
        self, z: Float[Tensor, "n f"], support: Examples, task: Task, stretch: Tensor
    ) -> tuple[Float[Tensor, "f k"], Float[Tensor, "k"]]:
        labels = one_hot(support.y, task.n_outputs, like=z)
        weight, bias = prototype_head(z * stretch, labels, self.log_scale.exp())
        return (weight.T * stretch).T, bias


def norm_parameters(encoder: nn.Module) -> Params:
    """Scales and shifts of all normalization layers, by name."""
    layers = {name: m for name, m in encoder.named_modules() if isinstance(m, NORMS)}
    return {
        f"{layer}.{name}".lstrip("."): p
        for layer, module in layers.items()
        for name, p in module.named_parameters(recurse=False)
    }


def _moved(name: str, p: Tensor, written: Tensor) -> Tensor:
    return p + written if name.endswith("bias") else p * (1 + written)
