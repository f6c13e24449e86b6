"""The LSTM meta-learner: training as the cell of an LSTM."""

from torch import nn

from medshot.inner.meta_lstm import MetaLSTMRule
from medshot.learners.maml import MAML
from medshot.learners.registry import register


@register("meta-lstm")
class MetaLSTM(MAML):
    """Inner steps that also forget, with gates that are learnt.

    Source: Ravi & Larochelle 2017, "Optimization as a model for few-shot learning", ICLR,
    algorithm 1. The paper's symbols: theta is `encoder` and the head (the cell state, its start
    learnt as c_0), f_t and i_t are the gates of `rule`.

    Where we differ: inner steps see the whole support at once. See `medshot.inner.meta_lstm`.
    """

    source = "Ravi & Larochelle 2017, ICLR"
    exact = False
    first_order = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int | None = None,
        lr: float = 0.03,
        steps: int = 5,
        test_steps: int | None = None,
        hidden: int = 8,
    ) -> None:
        super().__init__(encoder, way=way, lr=lr, steps=steps, test_steps=test_steps)
        self.rule = MetaLSTMRule(lr=lr, hidden=hidden)
