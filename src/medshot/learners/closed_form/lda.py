"""Linear discriminant analysis with covariance shrinkage."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Predictor, Task
from medshot.inner.closed_form import ledoit_wolf_shrinkage, shrunk_discriminant
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Linear, class_means
from medshot.tasks import Classification, one_hot


@register("lda")
class LDA(OnFeatures):
    """Gaussian classes with a shared covariance, shrunk toward a multiple of the identity.

    Source: Friedman 1989, J. Am. Stat. Assoc. 84, 165-175 (regularized discriminant analysis).
    The shrinkage is that of Ledoit & Wolf 2004 if `shrinkage` is None, otherwise the given number
    in (0, 1]. With a number, this is scikit-learn's
    `LinearDiscriminantAnalysis(solver="lsqr", shrinkage=...)`, except for equal class priors: the
    number of support images says nothing about a class's prevalence. With one image per class the
    covariance cannot be estimated, and LDA reduces to the nearest centroid.
    """

    supports = (Classification,)
    source = "Friedman 1989; Ledoit & Wolf 2004"
    unit = True
    trainable = False

    def __init__(self, encoder: nn.Module, *, shrinkage: float | None = None) -> None:
        super().__init__()
        if shrinkage is not None and not 0 < shrinkage <= 1:
            raise ConfigError(
                f"shrinkage is {shrinkage}, but must be above 0 and at most 1, or None."
            )
        self.encoder, self.shrinkage = encoder, shrinkage

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Solve for the discriminants."""
        labels = one_hot(y, task.n_outputs, like=z)
        means = class_means(z, labels)
        residuals = z - labels @ means
        if len(z) > task.n_outputs and bool((residuals.detach().abs() > 1e-6).any()):
            weight = shrunk_discriminant(means, residuals, self._shrinkage(residuals))
        else:
            weight = means.T * 10.0  # spherical, variance 0.1: the scale of nearest-centroid
        bias = -0.5 * (means.T * weight).sum(0)
        return Linear(encoder, weight, bias, unit=True)

    def _shrinkage(self, residuals: Float[Tensor, "n f"]) -> Float[Tensor, ""]:
        if self.shrinkage is not None:
            return residuals.new_tensor(self.shrinkage)
        # without shrinkage the covariance is singular for fewer images than features
        return ledoit_wolf_shrinkage(residuals).clamp(min=1e-3)
