"""Small encoders of rows of numbers: hashed text, and the columns of a table."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.encoder import Encoder
from medshot.nn.layout import COLUMNS, LAYOUT


@part("encoder", "hashed-text")
class HashedText(Encoder):
    """One matrix on the counts of hashed pieces of words: a learnt embedding of pieces, summed.

    Source: Joulin et al. 2017, arXiv:1607.01759 (bags of hashed n-grams). It is small, needs no
    download and knows no language: it sees which letters are there, not what they mean.
    """

    source = "Joulin et al. 2017, arXiv:1607.01759"
    dims = 0

    def __init__(self, *, channels: int = LAYOUT["text"][0], width: int = 256) -> None:
        super().__init__(channels, None, "unit")
        self.embedding = nn.Linear(channels, width, bias=False)
        nn.init.normal_(self.embedding.weight)  # a text of length 1 gets features of deviation 1
        self.n_features = width

    def forward(self, x: Float[Tensor, "n c"]) -> Float[Tensor, "n f"]:
        """The features of texts."""
        return self.embedding(self.scaled(x))


@part("encoder", "table")
class Table(Encoder):
    """The columns as they are, 0 where unknown, and which are known; with `hidden`, a layer more.

    The hidden layer is one matrix and a ReLU, and stands beside the columns, not in their place:
    what a linear map can see in a table it still sees.
    """

    source = "the table itself"
    dims = 1

    def __init__(self, *, channels: int = 2, size: int = COLUMNS, hidden: int = 0) -> None:
        super().__init__(channels, size, "unit")
        self.hidden = nn.Linear(2 * size, hidden) if hidden else None
        self.n_features = 2 * size + hidden
        self.register_buffer("nothing", torch.zeros(()))  # so that it has a device and a type

    def forward(self, x: Float[Tensor, "n c s"]) -> Float[Tensor, "n f"]:
        """The features of rows."""
        row = self.scaled(x).flatten(1)
        return row if self.hidden is None else torch.cat([row, self.hidden(row).relu()], 1)
