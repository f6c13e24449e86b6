"""The fast gradient sign method: one step, as far as is allowed."""

from dataclasses import dataclass

from medshot.robust.attack import Attack, Images, Losses, gradient


@dataclass(frozen=True)
class FGSM(Attack):
    """`epsilon` along the sign of the gradient; in L2, along the gradient itself.

    Source: Goodfellow, Shlens & Szegedy 2015, arXiv:1412.6572.
    """

    name = "fgsm"
    source = "Goodfellow et al. 2015, arXiv:1412.6572"

    @property
    def passes(self) -> int:
        """One."""
        return 1

    def search(self, losses: Losses, x: Images) -> Images:
        """One step."""
        step = self.budget.measure.steepest(gradient(losses, x))
        return self.budget.fitted(x + self.budget.epsilon * step, x)
