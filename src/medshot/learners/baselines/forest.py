"""Random forest of pixels: many trees on a filter bank, the classical interactive segmentation."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from medshot.core import SITES, ConfigError, Examples, Learner, Predictor, Task, part
from medshot.learners.registry import register
from medshot.nn.heads import features, rows_to_grid, sites
from medshot.tasks import Segmentation

SMALLEST = 1e-4  # share of a class that no tree gives
AT_ONCE = 10  # trees that are followed together


@part("predictor", "forest")
class TreesOfPixels(Predictor):
    """Mean of the class shares in the leaves of decision trees, at every pixel.

    Nodes of all trees are in one table: a node asks whether feature `feature` is at most
    `threshold`, and goes on at `left` or `right`; a leaf goes on at itself. `roots` are the first
    nodes of the trees; after `depth` questions each is at a leaf. `prior` are weights of the
    classes, as rare ones are sampled more often than they occur.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    share: Tensor
    roots: Tensor
    prior: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        feature: Int[Tensor, "m"],
        threshold: Float[Tensor, "m"],
        left: Int[Tensor, "m"],
        right: Int[Tensor, "m"],
        share: Float[Tensor, "m k"],
        roots: Int[Tensor, "t"],
        prior: Float[Tensor, "k"],
        depth: int,
    ) -> None:
        super().__init__()
        self.encoder, self.depth = encoder, depth
        self.transductive = bool(getattr(encoder, "transductive", False))
        table = {"feature": feature, "threshold": threshold, "left": left, "right": right}
        for name, tensor in (table | {"share": share, "roots": roots, "prior": prior}).items():
            self.register_buffer(name, tensor)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k *s"]:
        """Log of the share of each class."""
        z = features(self.encoder, x, unit=False)
        rows = sites(z)
        total = sum(self._voted(rows, roots) for roots in self.roots.split(AT_ONCE))
        share = total / self.roots.shape[0] * self.prior
        share = share / share.sum(1, keepdim=True).clamp(min=SMALLEST)
        return rows_to_grid((share + SMALLEST).log(), z)

    def _voted(self, rows: Float[Tensor, "m f"], roots: Int[Tensor, "t"]) -> Float[Tensor, "m k"]:
        node = roots[None].expand(rows.shape[0], -1)
        for _ in range(self.depth):
            low = rows.gather(1, self.feature[node]) <= self.threshold[node]
            node = torch.where(low, self.left[node], self.right[node])
        return self.share[node].sum(1)


@register("forest")
class Forest(Learner):
    """Random forest of `trees` trees on the features of about `pixels` pixels.

    Classes are sampled alike and weighed by how often they occur afterwards, so that a class that
    fills a hundredth of an image has enough pixels. On the filter bank this is the classifier of
    ilastik (Berg et al. 2019, doi:10.1038/s41592-019-0582-9). Trees are followed in PyTorch: an
    answer needs no scikit-learn.

    Source: Breiman 2001, doi:10.1023/A:1010933404324.
    """

    supports = (Segmentation,)
    source = "Breiman 2001, doi:10.1023/A:1010933404324"
    trainable = False
    exact = False
    usual_encoder = "filters"

    def __init__(
        self, encoder: nn.Module, *, trees: int = 100, pixels: int = 20_000, smallest: int = 4
    ) -> None:
        super().__init__()
        if min(trees, pixels, smallest) < 1:
            raise ConfigError(
                f"trees is {trees}, pixels {pixels} and smallest (pixels of a leaf) {smallest}: "
                "each must be at least 1."
            )
        self.encoder, self.trees, self.pixels, self.smallest = encoder, trees, pixels, smallest

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> Predictor:
        """Sample pixels, and fit the trees."""
        from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415  (slow to import)

        # the order of the support does not matter
        support = support[support.x.flatten(1).double().mean(1).argsort(stable=True)]
        k, few = task.n_outputs, max(1, SITES // support.y[0].numel())
        y, rng = support.y.flatten().cpu().numpy(), np.random.default_rng(0)
        members = [np.flatnonzero(y == c) for c in range(k)]
        some = [rng.permutation(each)[: self.pixels // k + 1] for each in members]
        chosen = np.sort(np.concatenate(some))
        found, first = [], 0
        for x in support.x.split(few):
            rows = sites(features(self.encoder, x, unit=False))
            own = chosen[(chosen >= first) & (chosen < first + len(rows))] - first
            found.append(rows[torch.from_numpy(own).to(rows.device)])
            first += len(rows)
        z = torch.cat(found)
        forest = RandomForestClassifier(
            self.trees, min_samples_leaf=self.smallest, random_state=0, n_jobs=1
        )
        forest.fit(z.double().cpu().numpy(), y[chosen])
        there = np.array([len(m) for m in members]) / sum(len(m) for m in members)
        shown = np.bincount(y[chosen], minlength=k) / len(chosen)
        return _as_tensors(self.encoder, forest, there / shown, z)


def _as_tensors(
    encoder: nn.Module, forest: Any, prior: Float[ndarray, "k"], like: Tensor
) -> TreesOfPixels:
    """The trees of a fitted forest of scikit-learn as one table."""
    trees = [each.tree_ for each in forest.estimators_]
    starts = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]

    def after(name: str) -> Tensor:
        found = []
        for tree, start in zip(trees, starts, strict=True):
            to = getattr(tree, name)
            found.append(np.where(to < 0, np.arange(tree.node_count), to) + start)
        return torch.from_numpy(np.concatenate(found)).to(like.device)

    values = [tree.value[:, 0] / tree.value[:, 0].sum(1, keepdims=True) for tree in trees]
    questions = np.concatenate([tree.feature.clip(0) for tree in trees]).astype(np.int64)
    # scikit-learn compares features of 32 bits with these numbers of 64: they are rounded down
    wide = np.concatenate([tree.threshold for tree in trees])
    thresholds = wide.astype(np.float32)
    thresholds = np.where(thresholds > wide, np.nextafter(thresholds, -np.inf), thresholds)
    return TreesOfPixels(
        encoder,
        torch.from_numpy(questions).to(like.device),
        torch.from_numpy(thresholds).to(like),
        after("children_left"),
        after("children_right"),
        torch.from_numpy(np.concatenate(values)).to(like),
        torch.from_numpy(starts).to(like.device),
        torch.from_numpy(prior).to(like),
        max(tree.max_depth for tree in trees),
    )
