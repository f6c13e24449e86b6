"""Matching networks: a query attends to the support, and its class is where attention goes."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.errors import ConfigError
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.on_features import OnFeatures
from medshot.learners.registry import register
from medshot.nn.context import QueryContext, SupportContext
from medshot.nn.encoder import n_features
from medshot.nn.matching import Matching
from medshot.tasks import Classification, one_hot


@register("matching")
class MatchingNetwork(OnFeatures):
    """The softmax over a query's cosines with the support, summed over the images of a class.

    Source: Vinyals et al. 2016, arXiv:1606.04080, without full context
    embeddings (`matching-fce` has them). The paper's symbols: f and g are `encoder`, c the
    cosine, a(x^, x_i) the attention. A class with more images than the others gets more of it.

    Where we differ: cosines are multiplied by `scale`; 1 is the paper's. A softmax of numbers in
    [-1, 1] is soft whatever the encoder does, so that even a perfect one cannot make the loss
    small (docs/log.md). Noisier classes are learnt better with less, so that the default is 10 and
    not more. Re-implementers have met it too: the code of Chen et al. 2019, arXiv:1904.04232,
    multiplies by 100.
    """

    supports = (Classification,)
    source = "Vinyals et al. 2016, arXiv:1606.04080"
    vectorises = True

    def __init__(self, encoder: nn.Module, *, scale: float = 10.0) -> None:
        super().__init__()
        self.encoder, self.scale = encoder, scale

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Keep the support's features: there is nothing to fit."""
        labels = one_hot(y, task.n_outputs, like=z)
        return Matching(encoder, z, labels, z.new_tensor(self.scale))


@register("matching-fce")
class MatchingInContext(OnFeatures):
    """Matching networks whose features depend on the whole support: full context embeddings.

    Source: Vinyals et al. 2016, arXiv:1606.04080 ("full context embeddings"). g reads the
    support with a bidirectional LSTM, f lets each query attend to it in `processing_steps` steps
    (the paper's K); both are in `medshot.nn.context`. The support is read in the order in which
    it comes. LSTMs are as wide as the encoder's features: 64 of them, not thousands.

    Where we differ: `scale`, as in `matching`.
    """

    supports = (Classification,)
    source = "Vinyals et al. 2016, arXiv:1606.04080"
    order_matters = True

    def __init__(
        self, encoder: nn.Module, *, scale: float = 10.0, processing_steps: int = 5
    ) -> None:
        super().__init__()
        if processing_steps < 1:
            raise ConfigError(
                f"processing_steps is {processing_steps}, but must be at least 1. Without context "
                "it is the learner `matching`."
            )
        self.encoder, self.scale = encoder, scale
        self.of_support = SupportContext(n_features(encoder))
        self.of_query = QueryContext(n_features(encoder), processing_steps)

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Read the support, once."""
        known = self.of_support(z)
        labels = one_hot(y, task.n_outputs, like=z)
        return Matching(encoder, known, labels, z.new_tensor(self.scale), self.of_query)
