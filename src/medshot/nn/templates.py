"""Templates: sites around which an image looks like the mean picture of a class."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.responses import Responses

FLAT = 1e-5  # of the sum of squares: a smaller spread is rounding


@part("predictor", "templates")
class Templates(Responses):
    """The normalised cross-correlation of the features with a template a class.

    Templates have odd sides and are in the middle of `templates`, zeros around them; `shapes` are
    their heights and widths.
    """

    templates: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        templates: Float[Tensor, "k f a b"],
        shapes: Sequence[Sequence[int]],
        gain: Float[Tensor, "k"],
        offset: Float[Tensor, "k"],
        sizes: Float[Tensor, "k 2"],
        rare: float = 0.0,
        typical: float = 1.0,
    ) -> None:
        super().__init__(encoder, gain, offset, sizes, rare, typical)
        self.shapes = shapes
        self.register_buffer("templates", templates)

    def respond(self, z: Float[Tensor, "n f h w"]) -> Float[Tensor, "n k h w"]:
        """The correlation with each template, in [-1, 1]."""
        return torch.cat(
            [
                correlation(z, middle(t, *shape))
                for t, shape in zip(self.templates, self.shapes, strict=True)
            ],
            1,
        )


def middle(x: Float[Tensor, "*n h w"], height: int, width: int) -> Float[Tensor, "*n a b"]:
    """The middle `height` x `width` of a picture."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


def correlation(
    z: Float[Tensor, "n f h w"], template: Float[Tensor, "f a b"]
) -> Float[Tensor, "n 1 h w"]:
    """Pearson's correlation of the template with what is around each site; 0 where all is flat.

    Beyond the border, the image goes on as its last site.
    """
    f, a, b = template.shape
    wide = F.pad(z, (b // 2, b // 2, a // 2, a // 2), mode="replicate")
    pattern = template - template.mean()
    both = F.conv2d(wide, pattern[None])
    total, squares = (_window(w.sum(1, keepdim=True), a, b) for w in (wide, wide.square()))
    spread = (squares - total.square() / (f * a * b)).clamp(min=0)
    scale = (spread * pattern.square().sum()).sqrt()
    flat = spread <= FLAT * squares
    return torch.where(flat, 0.0, both / scale.clamp(min=1e-12))


def _window(x: Float[Tensor, "n 1 h w"], a: int, b: int) -> Float[Tensor, "n 1 u v"]:
    """The sum over each window of a x b."""
    return F.avg_pool2d(x, (a, b), stride=1) * (a * b)
