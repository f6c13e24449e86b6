"""Implicit MAML: differentiate the solution of the inner problem, not the path to it."""

import torch
from torch import nn

from medshot.core import ConfigError, Examples, Task
from medshot.inner.unroll import implicit, pulled, unroll
from medshot.learners.gradient.maml import MAML, Adapted
from medshot.learners.registry import register


@register("imaml")
class IMAML(MAML):
    """Adapts on the support loss plus `pull` / 2 times the squared distance to the start.

    Source: Rajeswaran et al. 2019, arXiv:1909.04630, algorithms 1 and 2. The paper's symbols:
    theta is `encoder` and the head, lambda is `pull`, phi* the adapted weights, g the solution of
    `solver_steps` conjugate-gradient steps. Memory does not grow with `steps`.

    `damping` is added to `pull` only when solving for the meta-gradient. The paper has none, but
    the authors' code divides the Hessian by lambda + 10 and counts the identity twice, which for
    lambda = 2 is a damping of 22. Without it, meta-training can diverge where the loss has
    negative curvature (docs/log.md).

    Where we differ: as MAML. The meta-gradient is that of the query loss only if the inner loop
    reaches the minimum and conjugate gradients converge, so `exact` is False; a test shows that
    it converges to the exact one.
    """

    source = "Rajeswaran et al. 2019, arXiv:1909.04630"
    vectorizes = False
    exact = False
    first_order = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int | None = None,
        lr: float = 0.1,
        steps: int = 16,
        test_steps: int | None = None,
        pull: float = 2.0,
        solver_steps: int = 5,
        damping: float = 0.0,
    ) -> None:
        super().__init__(encoder, way=way, lr=lr, steps=steps, test_steps=test_steps)
        if pull <= 0:
            raise ConfigError(
                f"pull is {pull}, but must be above 0: at 0 the solution ignores the start."
            )
        if damping < 0:
            raise ConfigError(f"damping is {damping}, but must be at least 0.")
        self.pull, self.solver_steps, self.damping = pull, solver_steps, damping

    def learn(self, support: Examples, task: Task) -> Adapted:
        """Minimize the proximal loss; gradients come from the implicit function theorem."""
        start = self.start(support.x, task)
        loss = self.inner_loss(support, task, start)
        steps = self.steps if self.training else self.test_steps
        with torch.no_grad():
            end = unroll(start, pulled(loss, start, self.pull), self.rule, steps=steps)
        solver = {"solver_steps": self.solver_steps, "damping": self.damping}
        end = implicit(start, end, loss, pull=self.pull, **solver)
        return Adapted(self.encoder, end)
