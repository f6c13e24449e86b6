"""Transductive information maximisation: all queries are answered together."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.on_features import OnFeatures
from medshot.learners.registry import register
from medshot.nn.mutual_information import MutualInformation
from medshot.tasks import Classification, one_hot


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
