"""From an encoder that keeps the grid to one of whole images."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part


@part("module", "pooled")
class Pooled(nn.Module):
    """The mean over all sites of what `encoder` gives each: one learner may do masks and labels."""

    keeps_grid = False

    def __init__(self, *, encoder: nn.Module) -> None:
        super().__init__()
        inner: Any = encoder
        self.encoder = encoder
        self.n_features: int = inner.n_features
        self.transductive = bool(getattr(encoder, "transductive", False))

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n f"]:
        """The features of images as a whole."""
        return self.encoder(x).flatten(2).mean(2)
