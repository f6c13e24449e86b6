"""Contrastive meta-learning: pull features of one class together within each episode."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Episode, Predictor, Task
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Linear, class_means, features
from medshot.nn.layers import supervised_contrast
from medshot.tasks import Classification, one_hot


@register("contrastive")
class Contrastive(OnFeatures):
    """Supervised contrastive loss in meta-training; nearest class direction at test time.

    Source: Khosla et al. 2020, arXiv:2004.11362, for the loss (L_out^sup, the sum over positives
    outside the logarithm). The batch I is all images of one episode, support and query. The
    paper's symbols: z_i are the L2-normalized features of `encoder`, P(i) the other images of the
    class of i, A(i) all other images, tau the temperature. Logits are cosines with the class
    means over the temperature, as in Gidaris & Komodakis 2018, arXiv:1804.09458.

    The loss contrasts pairs of images rather than images and class means: each pair of one class
    in the episode contributes a term, and the split into support and query does not matter.

    Where we differ: no projection head between encoder and loss. The paper discards it after
    training and fits a classifier to the features below it; here the trained similarity is itself
    the classifier. One view per image instead of two: an image without another of its class in
    the episode serves as a negative but not as an anchor. The temperature is learned with the
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
        """Average the feature directions of each class."""
        centres = class_means(z, one_hot(y, task.n_outputs, like=z))
        weight = nn.functional.normalize(centres, dim=1).T / self.log_temperature.exp()  # f k
        return Linear(encoder, weight, torch.zeros_like(weight[0]), unit=True)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """Supervised contrastive loss over all images of the episode."""
        support, query = episode.support, episode.query
        z = features(self.encoder, torch.cat([support.x, query.x]), unit=True)
        with torch.autocast(z.device.type, enabled=False):
            similarity = z @ z.T / self.log_temperature.exp()
            return supervised_contrast(similarity, torch.cat([support.y, query.y]))
