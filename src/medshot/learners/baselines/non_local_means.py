"""Non-local means: the classical denoising baseline, with strength chosen on the support."""

from collections.abc import Sequence
from types import ModuleType

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import ConfigError, Examples, Learner, Predictor, Task, part
from medshot.learners.registry import register
from medshot.tasks import Enhancement


@part("predictor", "non-local-means")
class Smoothing(Predictor):
    """Non-local means of `strength` on the first `n_outputs` features, which are the image.

    Source: Buades, Coll & Morel 2005, doi:10.1109/CVPR.2005.38, in scikit-image's fast mode
    (Darbon et al. 2008, doi:10.1109/ISBI.2008.4541250). Strength 0 returns the image unchanged.
    """

    strength: Tensor
    exportable = False

    def __init__(
        self,
        encoder: nn.Module,
        strength: Float[Tensor, ""],
        n_outputs: int,
        *,
        patch: int = 5,
        reach: int = 6,
    ) -> None:
        super().__init__()
        self.encoder, self.n_outputs, self.patch, self.reach = encoder, n_outputs, patch, reach
        self.register_buffer("strength", strength)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Denoised images."""
        images = self.encoder(x)[:, : self.n_outputs]
        if self.strength <= 0:
            return images
        return torch.stack([self._smoothed(image) for image in images])

    def _smoothed(self, image: Float[Tensor, "k h w"]) -> Float[Tensor, "k h w"]:
        grey = bool((image == image[:1]).all())  # one plane suffices, at a third of the cost
        planes = (image[0] if grey else image.movedim(0, -1)).detach().cpu().double()
        found = restoration().denoise_nl_means(
            planes.contiguous().numpy(),
            patch_size=self.patch,
            patch_distance=self.reach,
            h=float(self.strength),
            fast_mode=True,
            channel_axis=None if grey else -1,
        )
        smooth = torch.from_numpy(found).to(image)
        return smooth.expand_as(image) if grey else smooth.movedim(-1, 0)


def restoration() -> ModuleType:
    """Import scikit-image's `restoration`, or raise `ConfigError` with the install command."""
    try:
        from skimage import restoration as found  # noqa: PLC0415  (an extra, and slow to import)
    except ImportError as error:
        raise ConfigError(
            "Non-local means needs scikit-image, which is not installed: "
            '`pip install "medshot[enhancement]"`.'
        ) from error
    return found


STRENGTHS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3)


@register("non-local-means")
class NonLocalMeans(Learner):
    """Non-local means with the strength in `strengths` that minimizes the support loss.

    Source: Buades, Coll & Morel 2005, doi:10.1109/CVPR.2005.38. The strength is the paper's h, in
    units of the image range [0, 1]. The paper sets it from the noise standard deviation, which is
    unknown here. Strength 0 is a candidate, for data on which denoising does not help.
    """

    supports = (Enhancement,)
    source = "Buades et al. 2005, doi:10.1109/CVPR.2005.38"
    trainable = False
    exact = False

    def __init__(self, encoder: nn.Module, *, strengths: Sequence[float] = STRENGTHS) -> None:
        super().__init__()
        if not strengths or min(strengths) < 0:
            raise ConfigError(f"strengths={list(strengths)} must be one or more numbers >= 0.")
        self.encoder, self.strengths = encoder, tuple(strengths)

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> Smoothing:
        """Evaluate every strength on the support."""
        tried = [
            Smoothing(self.encoder, torch.tensor(s).to(support.x), task.n_outputs)
            for s in self.strengths
        ]
        losses = torch.stack([task.loss(one(support.x), support.y) for one in tried])
        return tried[int(losses.argmin())]
