"""Learned optimizers: a small network or an LSTM cell as the update rule."""

from collections.abc import Callable
from typing import ClassVar

from torch import nn

from medshot.inner.rules import LSTMRule, MetaLSTMRule, MLPRule, UpdateRule
from medshot.learners.gradient.maml import MAML
from medshot.learners.registry import register


class LearnedOptimizer(MAML):
    """Base class: MAML's initialization with a learned update rule.

    `hidden` is the number of hidden units of the rule's network; None takes the rule's default.
    """

    network: ClassVar[Callable[..., UpdateRule]]

    exact = False  # gradients enter the rules detached, as in the papers
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
    """Inner steps by an LSTM shared by all parameters, with a hidden state for each.

    Source: Andrychowicz et al. 2016, arXiv:1606.04474, sec. 2.1. The paper's symbols: m is
    `rule`, theta the adapted parameters.

    Where we differ: the initialization is learned too (the paper's is random, with many steps),
    and the objective is the query loss after the last step. The rule starts as gradient descent;
    see `medshot.inner.rules`.
    """

    source = "Andrychowicz et al. 2016, arXiv:1606.04474"
    network = LSTMRule


@register("mlp-optimizer")
class MLPOptimizer(LearnedOptimizer):
    """Inner steps by an MLP on the gradient, value and momenta of each parameter.

    Source: Metz et al. 2019, arXiv:1810.10180. Where we differ: as `LSTMOptimizer`.
    """

    source = "Metz et al. 2019, arXiv:1810.10180"
    vectorizes = True
    network = MLPRule


@register("meta-lstm")
class MetaLSTM(LearnedOptimizer):
    """Inner steps with learned input and forget gates.

    Source: Ravi & Larochelle 2017, "Optimization as a model for few-shot learning", ICLR,
    algorithm 1. The paper's symbols: theta is `encoder` and the head (the cell state, its
    initial value c_0 learned), f_t and i_t are the gates of `rule`.

    Where we differ: each inner step uses the whole support. See `medshot.inner.rules`.
    """

    source = "Ravi & Larochelle 2017, ICLR"
    network = MetaLSTMRule
