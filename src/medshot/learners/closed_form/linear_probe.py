"""Linear probe: logistic regression on frozen features, the baseline of every comparison."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import SITES, ConfigError, Examples, Predictor, Task
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Linear, features, labeled_sites
from medshot.tasks import Classification, Detection, Segmentation
from medshot.tasks.segmentation import UNLABELED

MOST, LEAST = 4000, 50  # sites to fit: about so many in all, and at least so many per class


@register("linear-probe")
class LinearProbe(OnFeatures):
    """Logistic regression on L2-normalized features, with weak regularization.

    Source: Tian et al. 2020, arXiv:2003.11539 (logistic regression on normalized features). `c`
    is scikit-learn's inverse penalty. With standardized instead of normalized features, or with
    c = 1, the baseline is points weaker, and a weak baseline gives false results. For masks, about
    `MOST` sites are sampled with a fixed seed: neighboring sites are redundant. They are chosen
    before encoding, so that memory does not grow with the number of images.
    """

    supports = (Classification, Detection, Segmentation)
    source = "Tian et al. 2020, arXiv:2003.11539"
    unit = True
    trainable = False
    exact = False

    def __init__(self, encoder: nn.Module, *, c: float = 100.0) -> None:
        super().__init__()
        if c <= 0:
            raise ConfigError(f"c is {c}, but an inverse penalty must be above 0.")
        self.encoder, self.c = encoder, c

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> Predictor:
        """Encode and fit; for masks, a few images at a time."""
        together = getattr(self.encoder, "transductive", False)  # features depend on the batch
        if together or task.at_centers or not task.on_grid:
            return super().learn(support, task)
        encoder, y = self._encoder_for(task), _sparse(support.y, task.n_outputs)
        few = max(1, SITES // y[0].numel())
        parts = [
            labeled_sites(features(encoder, some, unit=self.unit), labels)
            for some, labels in zip(support.x.split(few), y.split(few), strict=True)
        ]
        rows, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        return self._fitted(encoder, rows, labels, task)

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Fit on the support, to convergence."""
        if task.on_grid:
            some = _some(y.cpu(), task.n_outputs).to(y.device)
            z, y = z[some], y[some]
        return self._fitted(encoder, z, y, task)

    @torch.no_grad()
    def _fitted(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  (slow to import)

        wide = z.detach().cpu().double().numpy()
        # The solution lies in the span of the support, which has fewer dimensions than z.
        basis = np.linalg.svd(wide, full_matrices=False)[2]  # n f
        fitted = LogisticRegression(C=self.c, max_iter=2000)
        fitted.fit(wide @ basis.T, y.cpu().numpy())
        weight, bias = basis.T @ fitted.coef_.T, fitted.intercept_
        if task.n_outputs == 2:  # scikit-learn gives one column, the log-odds of class 1
            weight, bias = np.hstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        return Linear(
            encoder, torch.from_numpy(weight).to(z), torch.from_numpy(bias).to(z), unit=True
        )


def _sparse(y: Int[Tensor, "n *s"], k: int) -> Int[Tensor, "n *s"]:
    """Masks in which only the sampled sites keep their label."""
    known = (y.flatten() >= 0).nonzero().flatten()
    kept = known[_some(y.flatten()[known].cpu(), k).to(y.device)]
    found = torch.full_like(y, UNLABELED)
    found.view(-1)[kept] = y.flatten()[kept]
    return found


def _some(y: Int[Tensor, "n"], k: int) -> Int[Tensor, "m"]:
    """Indices of about `MOST` labels, stratified by class, with rare classes oversampled."""
    if len(y) <= MOST:
        return torch.arange(len(y))
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    members = [order[y[order] == c] for c in range(k)]
    kept = [m[: max(LEAST, MOST * len(m) // len(y))] for m in members]
    return torch.cat(kept).sort().values
