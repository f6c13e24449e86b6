"""Matching networks: a query attends to the support, with or without full context embeddings."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Predictor, Task, part
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import Head
from medshot.tasks import Classification, one_hot


class SupportContext(nn.Module):
    """Bidirectional LSTM over the support, with a skip connection.

    Source: Vinyals et al. 2016, arXiv:1606.04080, appendix: g(x_i, S) is the sum of g'(x_i) and
    the outputs of both directions at i. Rows are read in the given order.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_features, n_features, bidirectional=True)

    def forward(self, z: Float[Tensor, "m f"]) -> Float[Tensor, "m f"]:
        """Support features in context."""
        with torch.autocast(z.device.type, enabled=False):
            forwards, backwards = self.lstm(z)[0].chunk(2, dim=1)
            return z + forwards + backwards


@part("module", "query-context")
class QueryContext(nn.Module):
    """LSTM that reads one query for `steps` steps, attending to the support at each.

    Source: Vinyals et al. 2016, arXiv:1606.04080, appendix. The paper's symbols: f' is a row of
    `z`, g one of `known`, K is `steps`, and the last h_k is the result of
        r_{k-1}   = sum_i a_i g_i, with a the softmax over i of h_{k-1} . g_i
        h^_k, c_k = LSTM(f', [h_{k-1}, r_{k-1}], c_{k-1})
        h_k       = h^_k + f'

    Where we differ: r is concatenated to f' instead of h, which gives the same sum of products.
    The paper does not specify the initial h and c; here they are f' and zero.
    """

    def __init__(self, n_features: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.cell = nn.LSTMCell(2 * n_features, n_features)

    def forward(self, z: Float[Tensor, "n f"], known: Float[Tensor, "m f"]) -> Float[Tensor, "n f"]:
        """Embed each row of `z` in the context of `known`, independently of the other rows."""
        with torch.autocast(z.device.type, enabled=False):
            h, c = z, torch.zeros_like(z)
            for _ in range(self.steps):
                read = (h @ known.T).softmax(1) @ known
                h, c = self.cell(torch.cat([z, read], dim=1), (h, c))
                h = h + z
            return h


@part("predictor", "matching")
class Matching(Head):
    """Log of the attention mass of each class; its softmax is the class probability.

    Attention is the softmax of `scale` times the cosine similarity to the `known` features. With
    `context`, query features are first embedded in the context of the support.
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

    def on_features(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Log-probability of each class."""
        if self.context is not None:
            z = self.context(z, self.known)
        return log_attention(z, self.known, self.labels, self.scale)


def log_attention(
    z: Float[Tensor, "n f"],
    known: Float[Tensor, "m f"],
    labels: Float[Tensor, "m k"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, "n k"]:
    """Compute log sum_i a(z, known_i) labels_i in log space.

    The attention mass of a class dissimilar to the image can underflow as a float.
    """
    with torch.autocast(z.device.type, enabled=False):
        cosines = F.normalize(z, dim=1) @ F.normalize(known, dim=1).T
        shares = (scale * cosines).log_softmax(1)  # n m
        return (shares[:, None] + labels.T.log()).logsumexp(2)  # log 0 masks out other classes


@register("matching")
class MatchingNetwork(OnFeatures):
    """Softmax over cosine similarities with the support, summed over the images of a class.

    Source: Vinyals et al. 2016, arXiv:1606.04080, without full context embeddings (`matching-fce`
    has them). The paper's symbols: f and g are `encoder`, c the cosine, a(x^, x_i) the attention.
    A class with more support images gets more attention mass.

    Where we differ: cosines are multiplied by `scale`; the paper's is 1. A softmax of values in
    [-1, 1] is nearly uniform, so that even a perfect encoder cannot make the loss small
    (docs/log.md). Noisy classes are learned better with a smaller scale, hence the default of 10.
    Other reimplementations scale too: the code of Chen et al. 2019, arXiv:1904.04232, by 100.
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
        """Store the support features; nothing is fitted."""
        labels = one_hot(y, task.n_outputs, like=z)
        return Matching(encoder, z, labels, z.new_tensor(self.scale))


@register("matching-fce")
class MatchingInContext(OnFeatures):
    """Matching networks with full context embeddings: features depend on the whole support.

    Source: Vinyals et al. 2016, arXiv:1606.04080 ("full context embeddings"). g reads the support
    with a bidirectional LSTM (`SupportContext`); f lets each query attend to it for
    `processing_steps` steps, the paper's K (`QueryContext`). The support is read in the given
    order. The LSTMs are as wide as the encoder's features, so use an encoder with tens of
    features, not thousands.

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
                f"processing_steps is {processing_steps}, but must be at least 1. For no context, "
                "use the learner `matching`."
            )
        self.encoder, self.scale = encoder, scale
        self.of_support = SupportContext(n_features(encoder))
        self.of_query = QueryContext(n_features(encoder), processing_steps)

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Embed the support in context, once."""
        known = self.of_support(z)
        labels = one_hot(y, task.n_outputs, like=z)
        return Matching(encoder, known, labels, z.new_tensor(self.scale), self.of_query)
