"""Meta-SGD: learn initialization, update direction and learning rates."""

from medshot.inner.rules import PerParameterSGD
from medshot.learners.gradient.maml import MAML
from medshot.learners.registry import register


@register("meta-sgd")
class MetaSGD(MAML):
    """MAML with a meta-learned learning rate for every parameter.

    Source: Li et al. 2017, arXiv:1707.09835, algorithm 1. The paper's symbols: theta is
    `encoder` and the head, alpha is `rule.rates`, a vector of the size of theta.

    Where we differ: `steps` may exceed the paper's one step, with the same rates. With `way=None`
    the head starts at zero (see MAML) and its rates are shared by all classes. Every rate starts
    at `lr`; the paper draws it uniformly from [0.005, 0.1].
    """

    source = "Li et al. 2017, arXiv:1707.09835"

    def make_rule(self, lr: float) -> PerParameterSGD:
        """Return the update rule: SGD with a learned rate per parameter."""
        return PerParameterSGD(self.template(), lr)
