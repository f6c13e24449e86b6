"""Full context embeddings: features that are seen in the light of other features, by LSTMs."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part


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
