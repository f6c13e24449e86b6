"""No encoder at all: a pixel's features are its own values."""

from jaxtyping import Float
from torch import Tensor

from medshot.core.parts import part
from medshot.nn.encoder import Encoder


@part("encoder", "as-is")
class AsIs(Encoder):
    """The image itself, on its grid, of any size: for methods that need nothing else."""

    source = "the raw image"
    keeps_grid = True
    any_size = True

    def __init__(self, *, channels: int = 3, size: int = 128, scaling: str = "unit") -> None:
        super().__init__(channels, size, scaling)
        self.begins_with_image = scaling == "unit"
        self.n_features = channels

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Images as they are."""
        return self.scaled(x)
