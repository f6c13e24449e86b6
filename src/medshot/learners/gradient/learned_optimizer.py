"""Learned optimizers: a small network in place of gradient descent's rule.

The LSTM meta-learner: training as the cell of an LSTM.
"""

from collections.abc import Callable
from typing import ClassVar

from torch import nn

from medshot.inner.learned_rules import LSTMRule, MetaLSTMRule, MLPRule
from medshot.inner.rules import UpdateRule
from medshot.learners.gradient.maml import MAML
from medshot.learners.registry import register


class LearnedOptimizer(MAML):
    """MAML's start, and a learned rule for the steps from it: a network.

    `hidden` is how many units it has, by default as many as suit its kind.
    """

    network: ClassVar[Callable[..., UpdateRule]]

    exact = False  # the rules see gradients as numbers: nothing flows back through them
    first_order = True
    vectorizes = False  # an LSTM has no batching rule under vmap

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int | None = None,
        lr: float = 0.03,
        steps: int = 5,
        test_steps: int | None = None,
        hidden: int | None = None,
    ) -> None:
        super().__init__(encoder, way=way, lr=lr, steps=steps, test_steps=test_steps)
        self.rule = self.network(lr=lr, **({} if hidden is None else {"hidden": hidden}))


@register("lstm-optimizer")
class LSTMOptimizer(LearnedOptimizer):
    """Inner steps by an LSTM that every scalar shares, with a memory for each.

    Source: Andrychowicz et al. 2016, arXiv:1606.04474, sec. 2.1. The paper's symbols: m is
    `rule`, theta the parameters that move.

    Where we differ: the start is learned too (the paper's is random, and its steps are many), and
    what is minimised is the query loss after the last step. The rule begins as gradient descent;
    see `medshot.inner.learned_rules`.
    """

    source = "Andrychowicz et al. 2016, arXiv:1606.04474"
    network = LSTMRule


@register("mlp-optimizer")
class MLPOptimizer(LearnedOptimizer):
    """Inner steps by a perceptron on a scalar's gradient, value and momenta.

    Source: Metz et al. 2019, arXiv:1810.10180. Where we differ: as `LSTMOptimizer`.
    """

    source = "Metz et al. 2019, arXiv:1810.10180"
    vectorizes = True
    network = MLPRule


@register("meta-lstm")
class MetaLSTM(LearnedOptimizer):
    """Inner steps that also forget, with gates that are learned.

    Source: Ravi & Larochelle 2017, "Optimization as a model for few-shot learning", ICLR,
    algorithm 1. The paper's symbols: theta is `encoder` and the head (the cell state, its start
    learned as c_0), f_t and i_t are the gates of `rule`.

    Where we differ: inner steps see the whole support at once. See `medshot.inner.learned_rules`.
    """

    source = "Ravi & Larochelle 2017, ICLR"
    network = MetaLSTMRule
