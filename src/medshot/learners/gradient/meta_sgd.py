"""Meta-SGD: where to start, which way to go and how fast, all of it learned."""

from medshot.inner.learned_rules import PerParameterSGD
from medshot.learners.gradient.maml import MAML
from medshot.learners.registry import register


@register("meta-sgd")
class MetaSGD(MAML):
    """MAML with a meta-learned rate for every scalar.

    Source: Li et al. 2017, arXiv:1707.09835, algorithm 1. The paper's symbols: theta is
    `encoder` and the head, alpha is `rule.rates`, a vector of the size of theta.

    Where we differ: `steps` may be more than the paper's one, with the same rates. Without a
    number for `way`, the head starts at zero (see MAML) and its rates are the same for each
    class. Every rate begins at `lr`; the paper draws them at random from [0.005, 0.1].
    """

    source = "Li et al. 2017, arXiv:1707.09835"

    def make_rule(self, lr: float) -> PerParameterSGD:
        """A rate for every scalar."""
        return PerParameterSGD(self.template(), lr)
