"""Contrastive pretraining: SimCLR and SupCon."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from medshot.core import ConfigError, TaskError
from medshot.data.dataset import Dataset
from medshot.nn.encoder import Encoder
from medshot.nn.layers import supervised_contrast
from medshot.pretraining.augment import check_strength, random_view
from medshot.pretraining.objective import Objective, objective


@objective("contrast")
class Contrast(Objective):
    """SimCLR; with `labels`, SupCon, where images of one class are positives too.

    Source: Chen et al. 2020, arXiv:2002.05709 (SimCLR); Khosla et al. 2020, arXiv:2004.11362
    (SupCon, L_out^sup). The papers' symbols: tau is `temperature`, g the projection head, with
    one hidden layer and `width` outputs, which is discarded after training.

    `chunk` turns on activation checkpointing (Chen et al. 2016, arXiv:1604.06174), so many images
    at a time: the loss and its gradient are those of the whole batch, the memory is that of a
    chunk, and a step takes about a third longer. With norm="batch" each chunk has its own batch
    statistics.

    Where we differ: a batch is from one data set, so that a negative cannot be recognized by its
    scanner; views are those of `random_view`, without blur.

    Raises:
        TaskError: `labels` for a data set without classes.
    """

    source = "Chen et al. 2020, arXiv:2002.05709; Khosla et al. 2020, arXiv:2004.11362"

    def __init__(
        self,
        encoder: Encoder,
        sets: Sequence[Dataset],
        *,
        labels: bool = False,
        temperature: float = 0.2,
        width: int = 64,
        chunk: int = 0,
        augment: float = 1.0,
    ) -> None:
        super().__init__(encoder)
        if temperature <= 0 or width < 1 or chunk < 0:
            raise ConfigError(
                f"temperature={temperature} must be above 0, width={width} 1 or more, and "
                f"chunk={chunk} 0 (all at once) or more."
            )
        check_strength(augment)
        if labels and (without := [s.name for s in sets if s.y.ndim != 1 or not s.task.by_class]):
            raise TaskError(
                f"{', '.join(without)}: no class for each image, which labels=true asks for. "
                "Leave it out: SimCLR needs no labels."
            )
        self.labels, self.temperature = labels, temperature
        self.chunk, self.augment = chunk, augment
        hidden = nn.Linear(encoder.n_features, 2 * width)
        self.projection = nn.Sequential(hidden, nn.ReLU(), nn.Linear(2 * width, width))

    def loss(
        self, x: Float[Tensor, "n c h w"], y: Tensor, which: int, rng: torch.Generator
    ) -> Float[Tensor, ""]:
        """Contrastive loss of two views of each image of the batch."""
        views = torch.cat([random_view(x, rng, self.augment) for _ in range(2)])
        z = F.normalize(self._projected(views), dim=1)
        same = y if self.labels else torch.arange(len(x), device=x.device)
        return supervised_contrast(z @ z.T / self.temperature, torch.cat([same, same]))

    def _projected(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        if not self.chunk or not torch.is_grad_enabled():
            return self._encoded(x)
        chunks = x.split(self.chunk)
        return torch.cat([checkpoint(self._encoded, part, use_reentrant=False) for part in chunks])

    def _encoded(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        z = self.encoder(x)
        return self.projection(z.flatten(2).mean(2) if self.encoder.keeps_grid else z)
