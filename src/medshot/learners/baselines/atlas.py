"""Atlas: each volume of the support is registered to a new one, and their masks vote."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Examples, Learner, Predictor, Task, part
from medshot.learners.registry import register
from medshot.nn.registration import registered, warped
from medshot.nn.volume_maps import (
    FILM,
    at_shape,
    filled_box,
    resized,
    standardized,
    uncropped,
    volumes_of,
    working_voxel,
)
from medshot.tasks import Segmentation

MOST = 2**17  # voxels at which volumes are registered
VOTERS = 5  # volumes that are registered to a new one: the most similar
LEAST = 1e-3  # share of the votes of a class that has none


@part("predictor", "atlas")
class AtlasPredictor(Predictor):
    """Share of the votes of the support's volumes, on the filled part of a volume."""

    values: Tensor
    labels: Tensor

    exportable = False  # a registration is a loop for each volume
    differentiable = False
    whole = True

    def __init__(
        self,
        values: Float[Tensor, "n z h w"],
        labels: Int[Tensor, "n z h w"],
        n_outputs: int,
        spacing: Sequence[float],
        voxel: Sequence[float],
        voters: int = VOTERS,
    ) -> None:
        super().__init__()
        self.register_buffer("values", values)
        self.register_buffer("labels", labels)
        self.n_outputs, self.spacing, self.voxel = n_outputs, tuple(spacing), tuple(voxel)
        self.voters = voters

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k *s"]:
        """Log of the share of each class at each place."""
        with torch.autocast(x.device.type, enabled=False):
            found = torch.stack([self._one(volume) for volume in volumes_of(x)])
        return found[:, :, 0] if x.ndim == FILM else found

    def _one(self, volume: Float[Tensor, "z h w"]) -> Float[Tensor, "k z h w"]:
        box = filled_box(volume)
        inside = volume[box]
        shape = resized(inside.shape, self.spacing, self.voxel)
        votes = self.votes(at_shape(inside[None], shape)[0])
        return uncropped(votes, box, volume.shape, 1.0).clamp(min=LEAST).log()

    def votes(self, volume: Float[Tensor, "z h w"]) -> Float[Tensor, "k z h w"]:
        """Share of the votes, at the working resolution, cropped to what is filled."""
        fixed = standardized(volume)
        others = [at_shape(each[None], fixed.shape)[0] for each in self.values]
        apart = torch.stack([(each - fixed).square().mean() for each in others])
        nearest = apart.argsort(stable=True)[: self.voters].tolist()
        total = fixed.new_zeros(self.n_outputs, *fixed.shape)
        for i in nearest:
            grid = registered(fixed, self.values[i])
            classes = range(self.n_outputs)
            marks = torch.stack([(self.labels[i] == c).to(fixed) for c in classes])
            total += warped(marks, grid)
        return total / total.sum(0).clamp(min=LEAST)


@register("atlas")
class Atlas(Learner):
    """Registration of each volume of the support to a new one, affine and then smooth.

    Each registered mask has a vote at every voxel; with more than `voters` volumes, those that are
    most similar before the registration have one. It finds organs that are in every volume at about
    the same place, not lesions. An image is a volume of one slice.

    Source: multi-atlas segmentation by majority vote, Heckemann et al. 2006,
    doi:10.1016/j.neuroimage.2006.05.061; the registration is `nn.registration.registered`.
    """

    supports = (Segmentation,)
    source = "Heckemann et al. 2006, doi:10.1016/j.neuroimage.2006.05.061"
    trainable = False
    exact = False
    usual_encoder = "voxels"
    adapts_encoder = True  # it reads the volume, not the encoder's features

    def __init__(self, encoder: nn.Module, *, voters: int = VOTERS) -> None:
        super().__init__()
        if voters < 1:
            raise ConfigError(f"voters is {voters}, but must be at least 1.")
        self.encoder, self.voters = encoder, voters

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> AtlasPredictor:
        """Keep the volumes and masks, stretched to one shape."""
        volumes, y = volumes_of(support.x), support.y
        y = y[:, None] if support.x.ndim == FILM else y
        spacing = getattr(task, "spacing", None) or (1.0, 1.0, 1.0)
        voxel, largest = working_voxel(volumes, spacing, MOST)
        shape = resized(largest, spacing, voxel)
        values, labels = [], []
        for volume, mask in zip(volumes, y, strict=True):
            box = filled_box(volume)
            values.append(standardized(at_shape(volume[box][None], shape)[0]))
            marks = mask[box][None, None].to(volume)
            labels.append(F.interpolate(marks, shape, mode="nearest-exact")[0, 0].to(y.dtype))
        return AtlasPredictor(
            torch.stack(values), torch.stack(labels), task.n_outputs, spacing, voxel, self.voters
        )
