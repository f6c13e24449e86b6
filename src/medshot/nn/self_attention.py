"""A layer of a transformer over the tokens of each example."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from medshot.nn.attend import attend


class SelfAttention(nn.Module):
    """Tokens look at each other, then two linear maps; both added to what was there.

    Source: Vaswani et al. 2017, arXiv:1706.03762, normalised before instead of after (Xiong et
    al. 2020, arXiv:2002.04745).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.mix = nn.LayerNorm(width), nn.Linear(width, width)
        self.asked = nn.Linear(width, 3 * width)
        self.after = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(
        self, x: Float[Tensor, "n m w"], seen: Bool[Tensor, "n m"] | None = None
    ) -> Float[Tensor, "n m w"]:
        """The tokens after they have looked at those that are `seen`; all, if that is not said."""
        asked = self.asked(self.before(x)).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = asked.permute(2, 0, 3, 1, 4)  # three of n heads m v
        mask = None if seen is None else seen[:, None, None].expand(*queries.shape[:-1], -1)
        found = attend(queries, keys, values, mask)
        x = x + self.mix(found.transpose(1, 2).flatten(2))
        return x + self.after(x)
