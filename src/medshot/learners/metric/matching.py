"""Matching networks: a query attends to the support, and its class is where attention goes.

Full context embeddings: features that are seen in the light of other features, by LSTMs.

Attention over known images: an image is of the class that its attention goes to.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.errors import ConfigError
from medshot.core.predictor import Predictor
from medshot.core.registry import part
from medshot.core.task import Task
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import Head
from medshot.tasks import Classification, one_hot


class SupportContext(nn.Module):
    """Adds to each row what one LSTM makes of it and those before, another of it and those after.

    Source: Vinyals et al. 2016, arXiv:1606.04080, appendix: g(x_i, S) is the sum of the two
    LSTMs' outputs at i and g'(x_i). Rows are read in the order in which they come.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_features, n_features, bidirectional=True)

    def forward(self, z: Float[Tensor, "m f"]) -> Float[Tensor, "m f"]:
        """The rows in context."""
        with torch.autocast(z.device.type, enabled=False):
            forwards, backwards = self.lstm(z)[0].chunk(2, dim=1)
            return z + forwards + backwards


@part("module", "query-context")
class QueryContext(nn.Module):
    """An LSTM that looks at one row `steps` times, each time attending to the known rows.

    Source: Vinyals et al. 2016, arXiv:1606.04080, appendix. The paper's symbols: f' is a row of
    `z`, g one of `known`, K is `steps`, and the last h_k is the result of

        r_{k-1}   = sum_i a_i g_i, with a the softmax over i of h_{k-1} . g_i
        h^_k, c_k = LSTM(f', [h_{k-1}, r_{k-1}], c_{k-1})
        h_k       = h^_k + f'

    Where we differ: r enters beside f' and not beside h, which is the same sum of products. The
    paper does not say where h and c begin; here it is f' and zero.
    """

    def __init__(self, n_features: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.cell = nn.LSTMCell(2 * n_features, n_features)

    def forward(self, z: Float[Tensor, "n f"], known: Float[Tensor, "m f"]) -> Float[Tensor, "n f"]:
        """The rows of `z` in the context of `known`; none of them sees another."""
        with torch.autocast(z.device.type, enabled=False):
            h, c = z, torch.zeros_like(z)
            for _ in range(self.steps):
                read = (h @ known.T).softmax(1) @ known
                h, c = self.cell(torch.cat([z, read], dim=1), (h, c))
                h = h + z
            return h


@part("predictor", "matching")
class Matching(Head):
    """The logarithm of the attention that goes to each class: a softmax gives the shares back.

    Attention is the softmax of the cosines with the `known` features, times `scale`. With
    `context`, an image's features are first seen in the light of the known ones.
    """

    known: Tensor
    labels: Tensor
    scale: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        known: Float[Tensor, "m f"],
        labels: Float[Tensor, "m k"],
        scale: Float[Tensor, ""],
        context: QueryContext | None = None,
    ) -> None:
        super().__init__(encoder, known=known, labels=labels, scale=scale)
        self.context = context

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """The log-probability of each class."""
        if self.context is not None:
            z = self.context(z, self.known)
        return log_attention(z, self.known, self.labels, self.scale)


def log_attention(
    z: Float[Tensor, "n f"],
    known: Float[Tensor, "m f"],
    labels: Float[Tensor, "m k"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, "n k"]:
    """The logarithm of sum_i a(z, known_i) labels_i, taken without leaving logarithms.

    As a probability, the share of a class that is little like the image could be too small for
    a float, and its logarithm minus infinity.
    """
    with torch.autocast(z.device.type, enabled=False):
        cosines = F.normalize(z, dim=1) @ F.normalize(known, dim=1).T
        shares = (scale * cosines).log_softmax(1)  # n m
        return (shares[:, None] + labels.T.log()).logsumexp(2)  # log 0 leaves out other classes


@register("matching")
class MatchingNetwork(OnFeatures):
    """The softmax over a query's cosines with the support, summed over the images of a class.

    Source: Vinyals et al. 2016, arXiv:1606.04080, without full context
    embeddings (`matching-fce` has them). The paper's symbols: f and g are `encoder`, c the
    cosine, a(x^, x_i) the attention. A class with more images than the others gets more of it.

    Where we differ: cosines are multiplied by `scale`; 1 is the paper's. A softmax of numbers in
    [-1, 1] is soft whatever the encoder does, so that even a perfect one cannot make the loss
    small (docs/log.md). Noisier classes are learned better with less, so that the default is 10 and
    not more. Re-implementers have met it too: the code of Chen et al. 2019, arXiv:1904.04232,
    multiplies by 100.
    """

    supports = (Classification,)
    source = "Vinyals et al. 2016, arXiv:1606.04080"
    vectorizes = True

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
    (the paper's K); both are in `SupportContext` and
    `QueryContext`. The support is read in the order in which it comes. LSTMs are as wide as the
    encoder's features: 64 of them, not thousands.

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
