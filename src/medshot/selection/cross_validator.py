"""Cross-validation of candidates on the folds of a support, with cached features."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Int, Shaped
from numpy import ndarray
from torch import Tensor, nn

from medshot.core import Examples, Learner, Task, TrainingError, called
from medshot.data.dataset import Dataset
from medshot.data.episodes import own_groups
from medshot.data.split import rarest
from medshot.evaluation.cross_validation import FOLDS, folds_of
from medshot.evaluation.episodes import AT_ONCE, encodes_alone, reads_otherwise, without_encoder
from medshot.training.progress import fit_done

MOST = 400  # subsample of images: more give the same choice, more slowly
KEPT = 2**28  # maximal number of cached floats: 1 GiB

Evidence = tuple[ndarray, ...]  # inputs of the task's metrics, one row per image
Images = Callable[[nn.Module], Tensor]  # images in the form that an encoder takes


class CrossValidator:
    """Cross-validation of candidates on a support, by patient.

    There are at most `folds` folds, and none if a class has only one patient. A large support is
    subsampled by patient.
    """

    def __init__(
        self,
        images: Images,
        y: Shaped[Tensor, "n ..."],
        groups: Int[Tensor, "n"] | None,
        task: Task,
        folds: int = FOLDS,
    ) -> None:
        known = torch.full((len(y),), -1) if groups is None else groups.cpu()
        kept = _some(task.present_classes(y.cpu()), known)
        self.task, self.y = task, y[kept.to(y.device)]
        shows = task.present_classes(self.y.cpu())
        self.folds = folds_of(shows, known[kept], most=folds)
        self.patients = known[kept].to(y.device)
        self.features = _Features(lambda encoder: images(encoder)[kept.to(y.device)])
        order = torch.cat([held for _, held in self.folds]) if self.folds else torch.arange(0)
        self.groups = own_groups(known[kept])[order].numpy()  # order of the evidence
        self.strata = rarest(shows)[order].numpy()
        self.truth = self.y[order.to(y.device)].cpu().numpy()  # in this order, as those below
        self.fold = np.repeat(np.arange(len(self.folds)), [len(held) for _, held in self.folds])

    def fold_by_fold(
        self, learner: Learner, kept: list[ndarray] | None = None
    ) -> Iterator[Evidence]:
        """Evidence of each fold in turn; the decoded predictions are appended to `kept`.

        Raises:
            MedshotError: the learner does not support the task, or its predictions are not finite.
        """
        learner.check(self.task)
        ready, x, shown = self.features.under(learner)
        for rest, held in self.folds:
            decoded = self._answered(ready, shown[rest], x[held], rest)
            if kept is not None:
                kept.append(decoded.astype(np.float32))
            yield self.task.metric_inputs(decoded, self.y[held].cpu().numpy())

    @torch.no_grad()
    def _answered(self, ready: Learner, support: Tensor, query: Tensor, rest: Tensor) -> ndarray:
        fitted = self.task.fitted(self.y[rest])
        predictor = ready.learn(Examples(support, self.y[rest], self.patients[rest]), fitted)
        decoded = fitted.decode(predictor.predict_batches(query).double()).cpu().numpy()
        fit_done(called(ready))
        if np.isnan(decoded).any():
            raise TrainingError("Predictions contain NaN; lower the learning rate.")
        return decoded

    def scores(self, found: list[Evidence]) -> dict[str, float]:
        """Every metric over the folds so far."""
        rows = joined(found)
        return {metric: score(*rows) for metric, score in self.task.metrics.items()}


def bench_of(dataset: Dataset, folds: int = FOLDS) -> CrossValidator:
    """A `CrossValidator` on `dataset`, which is read once per image form."""
    forms: dict[tuple[int, int], Tensor] = {}

    def images(encoder: nn.Module) -> Tensor:
        channels, size = (getattr(encoder, name, None) for name in ("channels", "size"))
        if not (channels and size):
            return dataset.examples().x
        if (channels, size) not in forms:
            forms[channels, size] = dataset.at(channels, size).examples().x
        return forms[channels, size]

    examples = dataset.examples()
    return CrossValidator(images, examples.y, dataset.groups, dataset.task, folds)


def joined(found: list[Evidence]) -> Evidence:
    """Concatenate the evidence of several folds."""
    return tuple(np.concatenate(rows) for rows in zip(*found, strict=True))


class _Features:
    """Inputs of candidates: images, or cached features of shared encoders."""

    def __init__(self, images: Images) -> None:
        self.images = images
        self._known: dict[tuple[int, str], tuple[nn.Module, Tensor]] = {}

    @torch.no_grad()
    def under(self, learner: Learner) -> tuple[Learner, Tensor, Tensor]:
        """`learner` without its encoder, query features and support features.

        A learner that adapts its encoder is returned unchanged, with the images twice.
        """
        encoder = learner.encoder
        if not encodes_alone(learner):
            images = self.images(encoder)
            return learner, images, images
        features = shown = self._kept(encoder, encoder)
        if reads_otherwise(learner):
            shown = self._kept(encoder, learner.support_features, _settings(learner))
        return without_encoder(learner), features, shown

    def _kept(
        self, encoder: nn.Module, give: Callable[[Tensor], Tensor], settings: str = ""
    ) -> Tensor:
        key = id(encoder), settings
        if key not in self._known:
            features = torch.cat([give(batch) for batch in self.images(encoder).split(AT_ONCE)])
            if features.numel() + sum(z.numel() for _, z in self._known.values()) > KEPT:
                self._known.clear()
            self._known[key] = encoder, features  # a live encoder's id is unique
        return self._known[key][1]


def _settings(learner: Learner) -> str:
    """Attributes other than modules, on which support features may depend."""
    own = {name: value for name, value in vars(learner).items() if not name.startswith("_")}
    return f"{type(learner).__qualname__} {sorted(own.items())}"


def _some(shows: Tensor, groups: Int[Tensor, "n"]) -> Int[Tensor, "m"]:
    """All indices, or a stratified subsample of about `MOST` by whole patients."""
    if len(groups) <= MOST:
        return torch.arange(len(groups))
    y, own = rarest(shows), own_groups(groups)
    order = torch.randperm(int(own.max()) + 1, generator=torch.Generator().manual_seed(0))[own]
    kept = torch.zeros(len(y), dtype=torch.bool)
    for c in range(shows.shape[1]):
        members = (y == c).nonzero().flatten()
        first = members[order[members].argsort(stable=True)][: MOST // shows.shape[1]]
        kept[first] = True
    return kept.nonzero().flatten()
