"""Baseline++: a cosine classifier trained on the support, on frozen features."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import Predictor, Task
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Linear, class_means
from medshot.tasks import Classification, one_hot


@register("baseline++")
class BaselinePlusPlus(OnFeatures):
    """Cosine classifier: one learned direction per class; logits are `scale` times cosines.

    Source: Chen, Liu, Kira, Wang & Huang 2019, arXiv:1904.04232. Momentum, dampening and weight
    decay are those of the authors' code.

    Where we differ: deterministic, so that the same support gives the same predictor. Directions
    start at the class means instead of at random (the imprinted weights of Qi, Brown & Lowe 2018,
    arXiv:1712.07136), and each step uses the whole support instead of 4 images, at 10 times the
    authors' learning rate. `scale` is 10 instead of their 2, so that confident predictions are
    possible with few classes.
    """

    supports = (Classification,)
    source = "Chen et al. 2019, arXiv:1904.04232"
    unit = True
    trainable = False
    exact = False

    def __init__(
        self, encoder: nn.Module, *, scale: float = 10.0, lr: float = 0.1, steps: int = 100
    ) -> None:
        super().__init__()
        self.encoder, self.scale, self.lr, self.steps = encoder, scale, lr, steps

    @torch.no_grad()
    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Minimize the support loss."""
        z = z.detach()
        start = class_means(z, one_hot(y, task.n_outputs, like=z))
        with torch.enable_grad(), torch.autocast(z.device.type, enabled=False):
            weight = nn.Parameter(start)
            optimizer = torch.optim.SGD(
                [weight], lr=self.lr, momentum=0.9, dampening=0.9, weight_decay=1e-3
            )
            for _ in range(self.steps):
                optimizer.zero_grad()
                task.loss(self.scale * z @ F.normalize(weight, dim=1).T, y).backward()
                optimizer.step()
        directions = self.scale * F.normalize(weight.detach(), dim=1).T  # f k
        return Linear(encoder, directions, torch.zeros_like(directions[0]), unit=True)
