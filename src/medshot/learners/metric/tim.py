"""Transductive information maximization (TIM): all queries are classified jointly.

Prototypes move until the predictions for a batch are confident and balanced over classes.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import Predictor, Task, part
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import class_means, features, squared_distances
from medshot.tasks import Classification, one_hot


@part("predictor", "mutual-information")
class MutualInformation(Predictor):
    """Negative scaled squared distance to prototypes that are refined on each query batch.

    Source: Boudiaf et al. 2020, arXiv:2008.11297, the alternating direction method (TIM-ADM). The
    paper's symbols: w_k is a prototype, tau `sharpness`, lambda `fidelity`, alpha `confidence`;
    p are the predictions, q the auxiliary targets. Updates are closed-form, without gradients.

    A single image has no label marginal to balance: it is classified by nearest class mean.
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
        """Logits, given all of `x`."""
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
        """One round of updates: q from p, then w from both."""
        p = self._logits(z, prototypes).softmax(1)
        known = self._logits(self.support, prototypes).softmax(1)
        support_weight = self.fidelity / (1 + self.confidence)
        query_weight = len(self.support) / len(z)
        q = targets(p, self.confidence)
        # Y'z + diag(sum of p) w - p'z, for the support and for the batch
        gap = support_weight * (self.labels - known).T @ self.support
        gap = gap + query_weight * (q - p).T @ z
        kept = (support_weight * known.sum(0) + query_weight * p.sum(0))[:, None] * prototypes
        mass = support_weight * self.labels.sum(0) + query_weight * q.sum(0)
        return (gap + kept) / mass[:, None]


def targets(p: Float[Tensor, "n k"], confidence: float) -> Float[Tensor, "n k"]:
    """Auxiliary targets q: sharpened predictions, reweighted to balance the classes."""
    sharp = p ** (1 + confidence)
    q = sharp / sharp.sum(0).sqrt()
    return q / q.sum(1, keepdim=True)


@register("tim")
class TIM(OnFeatures):
    """Prototypes moved to maximize the mutual information of queries and predictions.

    Source: Boudiaf, Ziko, Rony, Dolz, Piantanida & Ben Ayed 2020, arXiv:2008.11297, by the
    alternating direction method (TIM-ADM). Hyperparameters are those of the authors' code, except
    50 rounds instead of 150: more did not help on Omniglot features.

    Transductive: a prediction depends on the other queries. The marginal entropy term assumes
    about equally many queries per class, as few-shot benchmarks have and patients do not. So this
    is an upper bound for comparison, not a predictor to deploy: saving is refused. A single query
    is classified by nearest class mean.
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
        """Store the support; prototypes are refined at prediction time."""
        labels = one_hot(y, task.n_outputs, like=z)
        numbers = self.sharpness, self.fidelity, self.confidence, self.steps
        return MutualInformation(encoder, z, labels, *numbers)
