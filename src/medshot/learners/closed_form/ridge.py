"""Ridge regression on the support, in closed form and differentiable."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from medshot.core import ConfigError, Task
from medshot.inner.closed_form import ridge_weights
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Linear
from medshot.tasks import Classification, MultiLabel, Ordinal, Regression, Segmentation


@register("ridge")
class Ridge(OnFeatures):
    """Ridge regression on the targets (one-hot classes); penalty and scale are learned.

    Source: Bertinetto, Henriques, Torr & Vedaldi 2019, arXiv:1805.08136 (R2-D2). The paper's
    symbols: phi is `encoder`, lambda the exponential of `log_penalty`, alpha that of `log_scale`,
    X the features with a column of ones, whose weight is the intercept; it is penalized like the
    other weights. As in the authors' code the squared error is averaged over the support, so that
    the penalty does not depend on its size: scikit-learn's `Ridge(alpha=lambda * n)`.

    Where we differ: the paper's beta, one number added to all logits, is omitted because the
    softmax is invariant to it. Lambda and alpha are parameterized by their logarithms, to stay
    positive. For other tasks the targets are the task's encoding; numeric outputs are not scaled.
    """

    supports = (Classification, MultiLabel, Ordinal, Regression, Segmentation)
    source = "Bertinetto et al. 2019, arXiv:1805.08136"
    vectorizes = True

    def __init__(self, encoder: nn.Module, *, penalty: float = 1.0, scale: float = 10.0) -> None:
        super().__init__()
        if penalty <= 0 or scale <= 0:
            raise ConfigError(
                f"penalty is {penalty} and scale is {scale}, but both must be above 0."
            )
        self.encoder = encoder
        self.log_penalty = nn.Parameter(torch.tensor(float(penalty)).log())
        self.log_scale = nn.Parameter(torch.tensor(float(scale)).log())

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Shaped[Tensor, "n ..."], task: Task
    ) -> Linear:
        """Solve for the weights."""
        ones = F.pad(z, (0, 1), value=1.0)
        targets = task.encode(y, like=z)
        solved = ridge_weights(ones, targets, self.log_penalty.exp() * len(z))
        weights = self.log_scale.exp() * solved if task.logits else solved
        return Linear(encoder, weights[:-1], weights[-1])
