"""Contrastive meta-learning: images of one class together, all others apart, task by task."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.episode import Episode
from medshot.core.errors import ConfigError
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Linear, class_means, features
from medshot.nn.layers import supervised_contrast
from medshot.tasks import Classification, one_hot


@register("contrastive")
class Contrastive(OnFeatures):
    """Meta-trained by the supervised contrastive loss; adapts by the mean direction of a class.

    Source: Khosla et al. 2020, arXiv:2004.11362, for the loss (L_out^sup, the sum over positives
    outside the logarithm), here over the images of one episode, support and query alike, as its
    batch I. The paper's symbols: z_i are the features of `encoder` at length 1, P(i) the other
    images of i's class, A(i) all other images, tau the temperature. The answer, cosines with
    class means over the temperature, is that of Gidaris & Komodakis 2018, arXiv:1804.09458.

    The contrast is between images and not with class means: an episode gives a term for each
    pair of one class, and what is support and what is query plays no part in it.

    Where we differ: no projection network between encoder and loss. The paper throws its own
    away, because a classifier is fitted to the features below it; here the answer is the very
    comparison that was trained. One view of an image, not two: an image with no other of its
    class in the episode is contrasted with, but is no anchor. The temperature is learned with the
    encoder and starts at the paper's 0.1.
    """

    supports = (Classification,)
    source = "Khosla et al. 2020, arXiv:2004.11362"
    unit = True
    vectorizes = True

    def __init__(self, encoder: nn.Module, *, temperature: float = 0.1) -> None:
        super().__init__()
        if temperature <= 0:
            raise ConfigError(f"temperature is {temperature}, but must be above 0.")
        self.encoder = encoder
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Average the directions of each class."""
        centres = class_means(z, one_hot(y, task.n_outputs, like=z))
        weight = nn.functional.normalize(centres, dim=1).T / self.log_temperature.exp()  # f k
        return Linear(encoder, weight, torch.zeros_like(weight[0]), unit=True)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The supervised contrastive loss over all images of the episode."""
        support, query = episode.support, episode.query
        z = features(self.encoder, torch.cat([support.x, query.x]), unit=True)
        with torch.autocast(z.device.type, enabled=False):
            similarity = z @ z.T / self.log_temperature.exp()
            return supervised_contrast(similarity, torch.cat([support.y, query.y]))
