"""Residual ridge: predict the image's residual from the features around each pixel."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import ConfigError, Task
from medshot.inner.closed_form import ridge_weights
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Linear
from medshot.tasks import Enhancement


@register("residual-ridge")
class ResidualRidge(OnFeatures):
    """Ridge regression of target minus image on the features of every pixel.

    Source: Romano, Isidoro & Milanfar 2017, arXiv:1606.01299 (RAISR: filters fitted to image
    pairs by least squares); Bertinetto et al. 2019, arXiv:1805.08136 (differentiating through the
    ridge regression, so that encoder and penalty can be meta-learned).

    Where we differ from RAISR: one regression for all pixels, on encoder features (with `filters`,
    blurs and gradients at several scales); the paper bins pixels by gradient and fits one filter
    per bin. The penalty is relative to the mean squared error per site, so that it does not
    depend on the number of images; the intercept is penalized like the other weights.
    """

    supports = (Enhancement,)
    source = "Romano et al. 2017, arXiv:1606.01299; Bertinetto et al. 2019, arXiv:1805.08136"

    def __init__(self, encoder: nn.Module, *, penalty: float = 1e-5) -> None:
        super().__init__()
        if penalty <= 0:
            raise ConfigError(f"penalty is {penalty}, but must be above 0.")
        self.encoder = encoder
        self.log_penalty = nn.Parameter(torch.tensor(float(penalty)).log())

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Float[Tensor, "n k"], task: Task
    ) -> Linear:
        """Solve for the residual."""
        weight, bias = task.first_head(z.shape[1], like=z)
        # in double precision: features of neighboring scales are nearly collinear
        ones = F.pad(z, (0, 1), value=1.0).double()
        lacking = (y.to(z) - z @ weight).double()
        added = ridge_weights(ones, lacking, self.log_penalty.double().exp() * len(z)).to(z)
        return Linear(encoder, weight + added[:-1], bias + added[-1])
