"""Meta-gradient descent: learn the inner loop's hyperparameters from the query loss."""

import math

import torch
from torch import Tensor, nn

from medshot.core import ConfigError, Examples, Task
from medshot.inner.rules import Params, PerTensorSGD
from medshot.inner.unroll import Loss
from medshot.learners.gradient.maml import MAML
from medshot.learners.registry import register


@register("meta-gradient")
class MetaGradient(MAML):
    """Learns a learning rate and a penalty per parameter tensor through the inner loop.

    Source: Maclaurin, Duvenaud & Adams 2015, arXiv:1502.03492 (gradients of the validation loss
    with respect to learning rates and penalties, through training); Franceschi et al. 2018,
    arXiv:1806.04910 (the same as a bilevel problem that includes meta-learning). The support loss
    is the inner objective, the query loss the validation loss. Rates and penalties are
    parameterized by their logarithms.

    Where we differ: the penalty is half the squared distance to the initialization instead of to
    zero, times a learned strength. With `learn_start` the initialization is learned too; without
    it the given encoder stays fixed and only the hyperparameters are learned, which yields a
    fine-tuning schedule for pretrained weights.
    """

    source = "Maclaurin et al. 2015, arXiv:1502.03492; Franceschi et al. 2018, arXiv:1806.04910"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int | None = None,
        lr: float = 0.03,
        steps: int = 5,
        test_steps: int | None = None,
        penalty: float = 0.01,
        learn_start: bool = True,
        remat: bool = False,
    ) -> None:
        super().__init__(encoder, way=way, lr=lr, steps=steps, test_steps=test_steps, remat=remat)
        if min(lr, penalty) <= 0:
            raise ConfigError("lr and penalty must be above 0: their logarithms are learned.")
        names = list(self.template())
        self.rule = PerTensorSGD(names, lr, steps=1, positive=True)
        self.log_penalty = nn.Parameter(torch.full((len(names),), math.log(penalty)))
        self.learn_start = learn_start
        if not learn_start:
            encoder.requires_grad_(False)

    def captured(self, start: Params) -> list[Tensor]:
        """Also the penalty strengths and the initialization they refer to."""
        return [*super().captured(start), self.log_penalty, *start.values()]

    def inner_loss(self, support: Examples, task: Task, start: Params) -> Loss:
        """Support loss plus the penalties."""
        loss = super().inner_loss(support, task, start)

        def total(params: Params) -> Tensor:
            far = torch.stack([(params[n] - p).square().sum() / 2 for n, p in start.items()])
            return loss(params) + (self.log_penalty.exp() * far).sum()

        return total
