"""Conv4: the four-block convolutional encoder of most few-shot papers."""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import ConfigError, part, unknown
from medshot.nn.encoder import Encoder, flat
from medshot.nn.layers import norm


@part("encoder", "conv4")
class Conv4(Encoder):
    """Four blocks of 3 x 3 convolution, normalization, ReLU and downsampling by 2.

    Source: Vinyals et al. 2016, arXiv:1606.04080, sec. 4.1, and Snell et al. 2017,
    arXiv:1703.05175, sec. 3.1 (`halve="pool"`, `width=64`); Finn et al. 2017,
    arXiv:1703.03400, sec. 5.2, use stride 2 instead (`halve="stride"`).

    `read` says how the last map becomes features: `flatten` (both papers at 28 pixels, Snell's at
    any size), or the `mean` over space (Finn's code for Omniglot). The default is group instead
    of batch normalization, so that a prediction does not depend on the batch.

    Only the first `halvings` blocks downsample: Sung et al. 2018, arXiv:1711.06025, pool in the
    first two of four (and do not pad these), so that the next module gets a map. `map_shape` is
    the shape (c, h, w) of the last map if `read` is `flatten`.
    """

    source = "Vinyals et al. 2016, arXiv:1606.04080"

    def __init__(
        self,
        *,
        channels: int = 3,
        size: int = 64,
        width: int = 64,
        norm: str = "group",
        halve: str = "pool",
        read: str = "flatten",
        halvings: int = 4,
        scaling: str = "standard",
    ) -> None:
        super().__init__(channels, size, scaling)
        if halve not in ("pool", "stride"):
            raise unknown(halve, ("pool", "stride"), kind="downsampling")
        if read not in ("flatten", "mean"):
            raise unknown(read, ("flatten", "mean"), kind="pooling of the last map")
        if not 0 <= halvings <= 4:
            raise ConfigError(f"halvings is {halvings}, but there are four blocks: use 0 to 4.")
        side = _side(size, halve, halvings)
        if side < 1:
            raise ConfigError(
                f"{halvings} halvings leave nothing of {size} pixels. Use size={2**halvings} or "
                'more, halve="stride" or fewer halvings.'
            )
        steps = [halve] * halvings + ["none"] * (4 - halvings)
        widths = pairwise([channels, width, width, width, width])
        blocks = zip(widths, steps, strict=True)
        self.blocks = nn.Sequential(*(_block(a, b, norm, step) for (a, b), step in blocks))
        self.read = read
        self.map_shape = (width, side, side) if read == "flatten" else None
        self.transductive = norm == "transductive"
        self.n_features = width if read == "mean" else width * side * side

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """Features of images in [0, 1]."""
        maps = self.blocks(self.scaled(x))
        return maps.mean((2, 3)) if self.read == "mean" else flat(maps)


def _side(size: int, halve: str, halvings: int) -> int:
    for _ in range(halvings):
        size = size // 2 if halve == "pool" else (size + 1) // 2
    return size


def _block(inputs: int, outputs: int, policy: str, halve: str) -> nn.Sequential:
    stride = 2 if halve == "stride" else 1
    pool = nn.MaxPool2d(2) if halve == "pool" else nn.Identity()
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
    # ReLU and max pooling commute exactly; ReLU after pooling is cheaper
    return nn.Sequential(convolution, norm(policy, outputs), pool, nn.ReLU())
