"""The LSTM meta-learner: training as the cell of an LSTM."""

from medshot.inner.meta_lstm import MetaLSTMRule
from medshot.learners.learned_optimizer import LearnedOptimizer
from medshot.learners.registry import register


@register("meta-lstm")
class MetaLSTM(LearnedOptimizer):
    """Inner steps that also forget, with gates that are learnt.

    Source: Ravi & Larochelle 2017, "Optimization as a model for few-shot learning", ICLR,
    algorithm 1. The paper's symbols: theta is `encoder` and the head (the cell state, its start
    learnt as c_0), f_t and i_t are the gates of `rule`.

    Where we differ: inner steps see the whole support at once. See `medshot.inner.meta_lstm`.
    """

    source = "Ravi & Larochelle 2017, ICLR"
    network = MetaLSTMRule
