"""DnCNN: a residual denoising network, which predicts the noise and subtracts it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import ConfigError, part
from medshot.nn.encoder import Encoder
from medshot.nn.layers import norm as norm_layer


@part("encoder", "dncnn")
class DnCNN(Encoder):
    """The denoised image and the last hidden map, as features of each pixel.

    Source: Zhang, Zuo, Chen, Meng & Zhang 2017, arXiv:1608.03981. The paper's symbols: y is the
    image, R(y) the output of the last layer, y - R(y) the denoised image; D is `depth` (17 in the
    paper, with 64 features).

    Where we differ: no batch normalization by default, so that a pixel's output depends only on
    its neighborhood (`depth` pixels each way), whatever the image size; the last layer starts at
    zero, so that the untrained network is the identity; and the hidden map is returned as well,
    so that a head can correct the output. Images may have any size.
    """

    source = "Zhang et al. 2017, arXiv:1608.03981"
    keeps_grid = True
    any_size = True
    begins_with_image = True

    def __init__(
        self,
        *,
        channels: int = 3,
        size: int = 128,
        width: int = 32,
        depth: int = 6,
        norm: str = "none",
        scaling: str = "unit",
    ) -> None:
        super().__init__(channels, size, scaling)
        if depth < 2:
            raise ConfigError(f"depth is {depth}, but must be at least 2: first and last layer.")
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [
                nn.Conv2d(width, width, 3, padding=1),
                norm_layer(norm, width),
                nn.ReLU(),
            ]
        self.hidden = nn.Sequential(*layers)
        self.noise = nn.Conv2d(width, channels, 3, padding=1)
        for parameter in self.noise.parameters():
            nn.init.zeros_(parameter)
        self.transductive = norm == "transductive"
        self.n_features = channels + width

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f h w"]:
        """Denoised channels and hidden map of images in [0, 1]."""
        h = self.hidden(self.scaled(x) - 0.5)
        return torch.cat([x - self.noise(h), h], 1)
