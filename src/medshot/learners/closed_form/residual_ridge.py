"""Residual ridge: what an image lacks, as a weighted sum of features around each pixel."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import ConfigError
from medshot.core.task import Task
from medshot.inner.closed_form import ridge_weights
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Linear
from medshot.tasks import Enhancement


@register("residual-ridge")
class ResidualRidge(OnFeatures):
    """Regresses target minus image on the features of every pixel, in closed form.

    Source: filters learned by least squares from pairs of images are those of Romano, Isidoro &
    Milanfar 2017, arXiv:1606.01299 (RAISR); the regression that is differentiated through, so that
    an encoder and the penalty can be meta-learned, is that of Bertinetto et al. 2019,
    arXiv:1805.08136.

    Where we differ from RAISR: one regression for all pixels, on the features of an encoder (on
    `filters`, blurs and slopes at several scales), where the paper sorts the pixels into buckets by
    their gradients and learns a filter a bucket. The penalty is for the mean squared error of a
    site, so that one serves few images and many; the intercept is penalised like the others.
    """

    supports = (Enhancement,)
    source = "Romano et al. 2017, arXiv:1606.01299; Bertinetto et al. 2019, arXiv:1805.08136"

    def __init__(self, encoder: nn.Module, *, penalty: float = 1e-5) -> None:
        super().__init__()
        if penalty <= 0:
            raise ConfigError(f"penalty is above 0, not {penalty}.")
        self.encoder = encoder
        self.log_penalty = nn.Parameter(torch.tensor(float(penalty)).log())

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Float[Tensor, "n k"], task: Task
    ) -> Linear:
        """Solve for what has to be added to the image."""
        weight, bias = task.first_head(z.shape[1], like=z)
        # in double precision: features of neighbouring scales are nearly the same
        ones = F.pad(z, (0, 1), value=1.0).double()
        lacking = (y.to(z) - z @ weight).double()
        added = ridge_weights(ones, lacking, self.log_penalty.double().exp() * len(z)).to(z)
        return Linear(encoder, weight + added[:-1], bias + added[-1])
