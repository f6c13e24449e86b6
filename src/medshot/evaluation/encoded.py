"""Episodes of features: each image encoded once, however many episodes it is in."""

import copy
import dataclasses
import hashlib
from typing import Any

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from medshot.core.episode import Episode, Examples
from medshot.core.learner import Learner
from medshot.core.predictor import any_tensor
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.tasks import Classification

AT_ONCE = 256  # images encoded together
FEW = 16  # where each is looked up afterwards: what fits in a processor's cache is done sooner
FLAT = 2  # spatial axes of images


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedEpisodes:
    """The episodes of `sampler`, with features in place of images."""

    sampler: EpisodeSampler
    features: Float[Tensor, "n f"]
    shown: Float[Tensor, "n f"] | None = None  # what a learner reads of support images, if other

    def episode(self, i: int) -> Episode:
        """Episode `i`."""
        drawn = self.sampler.draw(i)
        shown = self.features if self.shown is None else self.shown
        support = self._gather(shown, drawn.support, drawn.support_y)
        query = self._gather(self.features, drawn.query, drawn.query_y)
        return Episode(Classification(self.sampler.way), support, query)

    def describe(self) -> dict[str, Any]:
        """As the sampler."""
        return self.sampler.describe()

    def fingerprint(self, episodes: int) -> str:
        """As the sampler."""
        return self.sampler.fingerprint(episodes)

    def _gather(
        self, features: Float[Tensor, "m f"], index: Int[ndarray, "n"], y: Int[ndarray, "n"]
    ) -> Examples:
        at = torch.from_numpy(index)
        return Examples(features[at], torch.from_numpy(y), self.sampler.dataset.groups[at])


def can_be_encoded(learner: Learner, sampler: object) -> bool:
    """Whether features do not change from episode to episode: then encoding once is the same."""
    labels = isinstance(sampler, EpisodeSampler) and not sampler.rotate
    pooled = getattr(learner.encoder, "keeps_grid", False)  # which the learner does by itself
    return encodes_alone(learner) and labels and not pooled


def encodes_alone(learner: Learner) -> bool:
    """Whether an image's features depend neither on the support nor on its neighbours."""
    return not learner.adapts_encoder and not getattr(learner.encoder, "transductive", False)


def encoded(learner: Learner, sampler: EpisodeSampler) -> tuple[Learner, EncodedEpisodes]:
    """`learner` without its encoder, and the sampler's episodes as that encoder's features."""
    features = encode(learner.encoder, sampler.dataset)
    shown = encode(learner.encoder, sampler.dataset, learner) if reads_otherwise(learner) else None
    return without_encoder(learner), EncodedEpisodes(sampler, features, shown)


def reads_otherwise(learner: Learner) -> bool:
    """Whether the learner reads other features of support images than its encoder gives."""
    return type(learner).support_features is not Learner.support_features


@torch.no_grad()
def encode(
    encoder: nn.Module, dataset: Dataset, learner: Learner | None = None
) -> Float[Tensor, "n f"]:
    """The features of all images of `dataset`, which is in the encoder's form.

    With `learner`, what it reads of them as a support.
    """
    like, give = any_tensor(encoder), encoder if learner is None else learner.support_features
    parts = torch.arange(len(dataset)).split(AT_ONCE)
    found = [give(dataset.examples(part).x.to(like)) for part in parts]
    return torch.cat([features.float().cpu() for features in found])


def without_encoder(learner: Learner) -> Learner:
    """A copy of `learner` that takes features where it took images."""
    nothing = nn.Identity()
    if isinstance(known := getattr(learner.encoder, "n_features", None), int):
        nothing.n_features = known  # type: ignore[assignment]  (some ask how many there are)
    replaced: dict[int, Any] = {id(learner.encoder): nothing}
    return copy.deepcopy(learner, replaced)


class Remembering(nn.Module):
    """`encoder`, which sees each image once: features of known images are looked up."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self._known: dict[bytes, Tensor] = {}

    def __getattr__(self, name: str) -> Any:
        """What is asked of it is asked of the encoder."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("encoder"), name)

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n f"]:
        """The features of images; only those that are new are encoded."""
        keys = [hashlib.blake2b(image.cpu().numpy().tobytes()).digest() for image in x]
        new = {key: i for i, key in enumerate(keys) if key not in self._known}
        unseen = list(new.values())
        for few in (unseen[i : i + FEW] for i in range(0, len(unseen), FEW)):
            for i, features in zip(few, self.encoder(x[few]), strict=True):
                self._known[keys[i]] = features
        return torch.stack([self._known[key] for key in keys])


def remembering(learner: Learner) -> Learner:
    """A copy whose encoders see each image once, where it leaves them as they are; else itself.

    For a cross-validation: it meets each image once a fold, and with it a learner that chooses
    among others once more inside each.
    """
    parts = [m for m in learner.modules() if isinstance(m, Learner) and not m.chooses]
    encoders = [m.encoder for m in parts if isinstance(m._modules.get("encoder"), nn.Module)]
    whole = any(getattr(e, "keeps_grid", False) or not _floats(e) for e in encoders)
    if whole or not all(encodes_alone(part) for part in parts):
        return learner
    replaced: dict[int, Any] = {id(e): Remembering(e) for e in encoders}
    return copy.deepcopy(learner, replaced)


def _floats(encoder: nn.Module) -> bool:
    """Whether it reads images: squares of numbers, of a form that it names."""
    return bool(getattr(encoder, "channels", None)) and getattr(encoder, "dims", 2) == FLAT
