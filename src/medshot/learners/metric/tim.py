"""Transductive information maximization: all queries are answered together.

Prototypes move until the answers to a batch are confident, and as balanced as they can be.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.predictor import Predictor
from medshot.core.registry import part
from medshot.core.task import Task
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import class_means, features, squared_distances
from medshot.tasks import Classification, one_hot


@part("predictor", "mutual-information")
class MutualInformation(Predictor):
    """Minus the scaled squared distance to prototypes that are fitted to each batch anew.

    Source: Boudiaf et al. 2020, arXiv:2008.11297, the alternating direction method (TIM-ADM). The
    paper's symbols: w_k is a prototype, tau `sharpness`, lambda `fidelity`, alpha `confidence`;
    p are the answers, q what they are pulled towards. In closed form, so no gradient is needed.

    One image alone has no label distribution to balance: it gets the nearest class mean.
    """

    transductive = True
    support: Tensor
    labels: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        support: Float[Tensor, "m f"],
        labels: Float[Tensor, "m k"],
        sharpness: float,
        fidelity: float,
        confidence: float,
        steps: int,
    ) -> None:
        super().__init__()
        self.encoder, self.steps = encoder, steps
        self.sharpness, self.fidelity, self.confidence = sharpness, fidelity, confidence
        self.register_buffer("support", support)
        self.register_buffer("labels", labels)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k"]:
        """A logit a class, given all of `x`."""
        z = features(self.encoder, x, unit=True)
        with torch.autocast(z.device.type, enabled=False):
            prototypes = class_means(self.support, self.labels)
            for _ in range(self.steps if len(z) > 1 else 0):
                prototypes = self._moved(prototypes, z)
            return self._logits(z, prototypes)

    def _logits(
        self, z: Float[Tensor, "n f"], prototypes: Float[Tensor, "k f"]
    ) -> Float[Tensor, "n k"]:
        return -self.sharpness / 2 * squared_distances(z, prototypes)

    def _moved(
        self, prototypes: Float[Tensor, "k f"], z: Float[Tensor, "n f"]
    ) -> Float[Tensor, "k f"]:
        """The prototypes after one round: q from p, then w from both."""
        p = self._logits(z, prototypes).softmax(1)
        known = self._logits(self.support, prototypes).softmax(1)
        pull = self.fidelity / (1 + self.confidence)
        share = len(self.support) / len(z)
        q = targets(p, self.confidence)
        # Y'z + diag(sum of p) w - p'z, for the support and for the batch
        total = pull * (self.labels - known).T @ self.support + share * (q - p).T @ z
        kept = (pull * known.sum(0) + share * p.sum(0))[:, None] * prototypes
        return (total + kept) / (pull * self.labels.sum(0) + share * q.sum(0))[:, None]


def targets(p: Float[Tensor, "n k"], confidence: float) -> Float[Tensor, "n k"]:
    """The answers made more confident, and less those that many images have."""
    sharp = p ** (1 + confidence)
    q = sharp / sharp.sum(0).sqrt()
    return q / q.sum(1, keepdim=True)


@register("tim")
class TIM(OnFeatures):
    """Class means, moved so that the mutual information of queries and answers is largest.

    Source: Boudiaf, Ziko, Rony, Dolz, Piantanida & Ben Ayed 2020, arXiv:2008.11297, by the
    alternating direction method (TIM-ADM); numbers as in the authors' code, but 50 rounds, not 150:
    on features of Omniglot more brought nothing.

    Transductive: an answer depends on the other queries. The term that balances the answers
    expects about as many queries of each class; the episodes of few-shot benchmarks are such, and
    patients are not. So this is a bound to compare with, not to predict with: saving is refused.
    One query alone gets the nearest class mean.
    """

    supports = (Classification,)
    source = "Boudiaf et al. 2020, arXiv:2008.11297"
    unit = True
    trainable = False
    exact = False
    transductive = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        sharpness: float = 15.0,
        fidelity: float = 0.1,
        confidence: float = 0.1,
        steps: int = 50,
    ) -> None:
        super().__init__()
        self.encoder, self.steps = encoder, steps
        self.sharpness, self.fidelity, self.confidence = sharpness, fidelity, confidence

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Keep the support: the rest happens where the queries are."""
        labels = one_hot(y, task.n_outputs, like=z)
        numbers = self.sharpness, self.fidelity, self.confidence, self.steps
        return MutualInformation(encoder, z, labels, *numbers)
