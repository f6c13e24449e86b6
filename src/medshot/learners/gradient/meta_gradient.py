"""Meta-gradient descent: the settings of training are learned by the gradient of the query loss."""

import math

import torch
from torch import Tensor, nn

from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.core.task import Task
from medshot.inner.learned_rules import PerTensorSGD
from medshot.inner.rules import Params
from medshot.inner.unroll import Loss
from medshot.learners.gradient.maml import MAML
from medshot.learners.registry import register


@register("meta-gradient")
class MetaGradient(MAML):
    """Learns a rate and a regularisation for each layer, by descent through the inner training.

    Source: Maclaurin, Duvenaud & Adams 2015, arXiv:1502.03492 (gradients of the validation loss
    by rates and penalties, through training); Franceschi et al. 2018, arXiv:1806.04910 (the same
    as a bilevel problem that holds meta-learning). The support's loss is the inner objective, the
    query's the validation loss. Rates and penalties are learned as logarithms.

    Where we differ: the penalty of a layer is half its squared way from the start, times a learned
    strength, not from zero. With `learn_start` the start is learned too; without, the encoder is
    kept as it is given, and only the settings are learned, so that weights from elsewhere get the
    fine-tuning that suits them.
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
            raise ConfigError("lr and penalty are learned as logarithms: both begin above 0.")
        names = list(self.template())
        self.rule = PerTensorSGD(names, lr, steps=1, positive=True)
        self.log_penalty = nn.Parameter(torch.full((len(names),), math.log(penalty)))
        self.learn_start = learn_start
        if not learn_start:
            encoder.requires_grad_(False)

    def captured(self, start: Params) -> list[Tensor]:
        """Also the strengths of the penalties, and the start that they pull to."""
        return [*super().captured(start), self.log_penalty, *start.values()]

    def inner_loss(self, support: Examples, task: Task, start: Params) -> Loss:
        """The support's loss and the penalty of each layer."""
        loss = super().inner_loss(support, task, start)

        def total(params: Params) -> Tensor:
            ways = torch.stack([(params[n] - p).square().sum() / 2 for n, p in start.items()])
            return loss(params) + (self.log_penalty.exp() * ways).sum()

        return total
