"""Stacked probe: closed-form classifiers on whitened features, stacked by leave-one-out."""

import json
import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from safetensors.torch import load_file
from torch import Tensor, nn

from medshot.core import Examples, Predictor, SaveError, Task
from medshot.data.episodes import own_groups
from medshot.data.split import grouped_folds
from medshot.inner import closed_form
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoders.adapters import TINY, WhitenedBlocks, normalized_blocks, shortened
from medshot.nn.encoders.mobilenet import DEPTHS, MobileNet
from medshot.nn.heads import Linear, class_means, features
from medshot.tasks import Classification, MultiLabel, Ordinal, Regression, one_hot

PACKAGED = Path(__file__).with_name("prior")  # prior.json and factors.safetensors
CLASSES = "softmax"  # link of tasks with one class per image
MOST_HELD = 10  # folds, where leave-one-patient-out would be too many fits
MOST_ALONE = 40  # leave one patient out up to this many images
LAST = slice(-3, -1)  # blocks of the last depth: mean and std
IMAGES = 4  # dimensions of a batch of 2D images
PENALTIES = tuple(10.0**i for i in range(-3, 3))  # grid for leave-one-out
SCALES = tuple(2.0 ** (i / 2) for i in range(-8, 17))  # grid of inverse temperatures
NUMBERS = ("log_weight", "log_temperature", "way", "apart", "log_evidence", "scale_spread")


class Member(NamedTuple):
    """A classifier of the stack.

    `statistics` is the weight of the statistics block in the kernel; other blocks weigh 1.
    """

    name: str
    kind: str  # prototypes or ridge
    penalty: float
    statistics: float


MEMBERS = (
    Member("prototypes", "prototypes", 0.0, 0.5),
    Member("ridge", "ridge", 0.3, 0.5),
    Member("ridge with statistics", "ridge", 0.5, 3.0),
)


class Blend(NamedTuple):
    """Dual coefficients of the members, and their out-of-fold scores on the support."""

    coefficients: Float[Tensor, "m n k"]
    left_out: Float[Tensor, "m n k"]


@register("stacked-probe")
class StackedProbe(OnFeatures):
    """Prototypes and ridge regression on whitened features, stacked by leave-one-out.

    Stacking: Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1. The support's features are averaged
    over each image and its mirror image, whitened block by block with the within-class covariance
    of *other* data sets (Fisher's discriminant with a meta-learned covariance; Bateni et al. 2020,
    arXiv:1912.03432), centered on the mean of the class means, and L2-normalized
    (`WhitenedBlocks`). On their Gram matrix, three classifiers are fitted in closed form
    (`MEMBERS`). With L_m the mean out-of-fold log likelihood of the support's labels (leaving out
    the label's patient) by member m at temperature t_m, the stack is

        w_m = softmax_m(a_m + e n L_m),     t_m = exp(b_m + c log(k/3) + d phi),
        scores = s sum_m w_m t_m f_m,       log s ~ N(0, sigma^2) a priori,

    where s is the posterior mean given the out-of-fold likelihood. phi measures class separation:
    the log of the squared distance between class means over the within-class variance in other
    data sets, at the last depth. It is defined from one image per class on, where nothing can be
    left out. The prior (a_m, b_m, c, d, e, sigma, per number of images per class) is meta-learned
    on other data sets (`prior`: a folder with prior.json and factors.safetensors, by default the
    one in the package, made by `experiments/stacked_probe.py`). Everything is linear in the
    normalized features, so the predictor is one linear map.

    Ordinal, multi-label and regression targets use ridge regression, with the penalty of the
    smallest leave-one-out error. On an encoder that the prior was not made for, features are not
    whitened. If classes are mirror images of each other (left and right), use `mirror=False`.

    Source: as above; docs/results.md has the gain over a single member.
    """

    supports = (Classification, MultiLabel, Ordinal, Regression)
    source = "Wolpert 1992 (stacking); Bateni et al. 2020, arXiv:1912.03432 (covariance)"
    trainable = False
    exact = False

    def __init__(
        self, encoder: nn.Module, *, mirror: bool = True, prior: str | None = None
    ) -> None:
        super().__init__()
        self.encoder, self.mirror, self.prior = encoder, mirror, prior
        sizes = tuple(getattr(encoder, "block_sizes", ()))
        self.known = _is_known(encoder)
        self.sizes = sizes

    def support_features(self, x: Float[Tensor, "n c *s"]) -> Tensor:
        """Features averaged over each image and its mirror image."""
        return self._read(self.encoder, x)

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> Predictor:
        """Whiten the features, fit the members, stack them."""
        encoder = self._encoder_for(task)
        return self._fitted(encoder, self._read(encoder, support.x), support, task)

    @torch.no_grad()
    def fit(self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Tensor, task: Task) -> Predictor:
        """Fit on support features, treating each image as a separate patient."""
        return self._fitted(encoder, z, Examples(z, y), task)

    def _read(self, encoder: nn.Module, x: Float[Tensor, "n c *s"]) -> Tensor:
        z = features(encoder, x, unit=False)
        if self.mirror and x.ndim == IMAGES:
            return (z + features(encoder, x.flip(-1), unit=False)) / 2
        return z

    def _fitted(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], support: Examples, task: Task
    ) -> Predictor:
        sizes = list(self.sizes) or [z.shape[1]]
        factors = self._factors(z)
        whitened = shortened(z, factors, sizes)
        center = _center(whitened, support.y, task)
        blocks = [b.double() for b in normalized_blocks(whitened, center, sizes)]
        grams = [b @ b.T for b in blocks]
        together, evident = left_out_together(support, task)
        together = together.to(z.device)
        if task.link == CLASSES:
            labels = one_hot(support.y, task.n_outputs, like=grams[0])
            found = self.blend(grams, labels, together)
            weights, scale = self.weights(found, labels, evident, self.apart(whitened, labels))
            parts = scale * weights[:, None, None] * found.coefficients  # m n k
            counts = zip(*self.block_weights(len(grams)), strict=True)  # of each block, by member
            per_block = [torch.tensordot(parts.new_tensor(each), parts, 1) for each in counts]
            bias = parts.new_zeros(task.n_outputs)
        else:
            targets = task.encode(support.y, like=blocks[0])
            per_block, bias = _regressed(grams, targets, together, evident, support, task)
        weight = torch.cat([b.T @ a for b, a in zip(blocks, per_block, strict=True)])
        whole = WhitenedBlocks(encoder=encoder, sizes=sizes, factors=factors, center=center)
        return Linear(whole, weight.to(z), bias.to(z))

    def blend(
        self,
        grams: Sequence[Float[Tensor, "n n"]],
        labels: Float[Tensor, "n k"],
        together: Bool[Tensor, "n n"],
    ) -> Blend:
        """Fit each member to the support, with out-of-fold scores.

        `together[i, j]` says whether images i and j are left out together.
        """
        k, weights, found = labels.shape[1], alike(labels), []
        for member, scales in zip(MEMBERS, self.block_weights(len(grams)), strict=True):
            counted = (s * g for s, g in zip(scales, grams, strict=True) if s)
            kernel = sum(counted, torch.zeros_like(grams[0]))
            if member.kind == "prototypes":
                found.append(closed_form.prototypes(kernel, labels, together))
            else:
                targets = labels - 1 / k
                found.append(closed_form.ridge(kernel, targets, member.penalty, weights, together))
        return Blend(*(torch.stack(each) for each in zip(*found, strict=True)))

    def block_weights(self, blocks: int) -> list[list[float]]:
        """Kernel weight of each block for each member, summing to about 1."""
        if not self.known:
            return [[1 / blocks] * blocks for _ in MEMBERS]
        depths = blocks - 1  # the last block holds statistics
        return [[1 / depths] * depths + [m.statistics / depths] for m in MEMBERS]

    def weights(
        self,
        found: Blend,
        labels: Float[Tensor, "n k"],
        evident: bool,
        apart: float,
    ) -> tuple[Float[Tensor, "m"], float]:
        """Weight of each member, temperature included, and the scale of the sum."""
        n, k = labels.shape
        prior = at_shot(_tables(self.prior)[0], n / k)
        numbers = {name: torch.tensor(prior[name]).to(labels) for name in NUMBERS}
        known = torch.tensor(evident, device=labels.device)
        weights, log_scale = weighted(
            numbers, found.left_out[:, None], labels[None], labels.new_tensor([apart]), known
        )
        return weights[:, 0], float(log_scale.exp())

    def apart(self, whitened: Float[Tensor, "n f"], labels: Float[Tensor, "n k"]) -> float:
        """Class separation phi, relative to the within-class variance of other data sets."""
        if not self.known:
            return 0.0
        within = torch.tensor(_tables(self.prior)[0]["within"]).to(labels)
        return float(apart(whitened, labels, self.sizes, within))

    def _factors(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "f r"]:
        if not self.known:
            return z.new_zeros(z.shape[1], 0)
        factors = _tables(self.prior)[1]
        if len(factors) != z.shape[1]:
            raise _no_prior(
                _place(self.prior), f"factors for {len(factors)} features, not {z.shape[1]}"
            )
        return factors.to(z)


def weighted(
    prior: dict[str, Tensor],
    left_out: Float[Tensor, "m e n k"],
    labels: Float[Tensor, "e n k"],
    apart: Float[Tensor, "e"],
    evident: Bool[Tensor, "*e"],
) -> tuple[Float[Tensor, "m e"], Float[Tensor, "e"]]:
    """Member weights and the log of the scale, for `e` supports of `n` images.

    Where `evident` is False, `left_out` is not used and the prior alone decides.
    """
    k = labels.shape[-1]
    center = prior["way"] * math.log(k / 3) + prior["apart"] * apart
    temperatures = (prior["log_temperature"][:, None] + center).exp()
    weighted_labels = labels * alike(labels)[..., None]
    scores = (temperatures[..., None, None] * left_out).log_softmax(-1)
    likelihood = evident * (scores * weighted_labels).sum((-1, -2))
    logits = prior["log_weight"][:, None] + prior["log_evidence"].exp() * likelihood
    weights = logits.softmax(0) * temperatures
    blended = (weights[..., None, None] * left_out).sum(0)
    scales = torch.tensor(SCALES).to(labels)
    fits = [((s * blended).log_softmax(-1) * weighted_labels).sum((-1, -2)) for s in scales]
    likely = evident * torch.stack(fits)  # s e
    far = scales.log().square()[:, None] / (2 * prior["scale_spread"] ** 2)
    posterior = (likely - far).softmax(0)
    return weights, (posterior * scales.log()[:, None]).sum(0)


def alike(labels: Float[Tensor, "*e n k"]) -> Float[Tensor, "*e n"]:
    """Class-balancing weights of images, with mean 1."""
    n, k = labels.shape[-2:]
    return (labels / labels.sum(-2, keepdim=True)).sum(-1) * n / k


def apart(
    whitened: Float[Tensor, "n f"],
    labels: Float[Tensor, "n k"],
    sizes: Sequence[int],
    within: Float[Tensor, "2"],
) -> Float[Tensor, ""]:
    """Log ratio of between-class variance to `within`, at the last depth.

    `within` is the within-class variance in other data sets, for the mean and the std over the
    feature map. Earlier depths predict worse how far the scores can be trusted.
    """
    k = labels.shape[1]
    means = class_means(whitened, labels.to(whitened))
    spread = (means - means.mean(0)).square() * k / (k - 1)
    between = torch.stack([b.sum(1).mean() for b in spread.split(list(sizes), 1)[LAST]])
    return (between / within).mean().clamp(min=TINY).log()


def at_shot(prior: dict[str, Any], shot: float) -> dict[str, Any]:
    """Interpolate the prior for `shot` images per class, linearly in log shot."""
    knots = [math.log(s) for s in prior["shots"]]
    here = min(max(math.log(shot), knots[0]), knots[-1])
    for i, (low, high) in enumerate(pairwise(knots)):
        if here <= high:
            share = (here - low) / (high - low)
            return {
                name: np.array(prior[name][i]) * (1 - share) + share * np.array(prior[name][i + 1])
                for name in NUMBERS
            }
    raise AssertionError("knots are in order")


@cache
def _tables(folder: str | None) -> tuple[dict[str, Any], Float[Tensor, "f r"]]:
    """The prior in a folder: its numbers, and the factors of the within-class covariance."""
    place = _place(folder)
    try:
        numbers = json.loads((place / "prior.json").read_text(encoding="utf-8"))
        factors = load_file(place / "factors.safetensors")["factors"].float()
        if not (np.array(numbers["within"]) > 0).all():
            raise ValueError("the within-class variance is not above 0")
        for shot in (1.0, *numbers["shots"]):
            here = at_shot(numbers, float(shot))
            if {len(here[name]) for name in NUMBERS[:2]} != {len(MEMBERS)}:
                raise ValueError(f"it does not have {len(MEMBERS)} members")
            if not all(np.isfinite(here[name]).all() for name in NUMBERS):
                raise ValueError("a number is not finite")
    except Exception as error:  # whatever a damaged file makes its reader raise
        raise _no_prior(place, str(error)) from error
    return numbers, factors


def _place(folder: str | None) -> Path:
    return Path(folder) if folder else PACKAGED


def _no_prior(place: Path, why: str) -> SaveError:
    return SaveError(
        f"{place} is no prior of stacked-probe ({why}). Make it with experiments/stacked_probe.py, "
        "or install the package again: pip install --force-reinstall medshot"
    )


def _is_known(encoder: nn.Module) -> bool:
    return isinstance(encoder, MobileNet) and encoder.packaged and encoder.depths == DEPTHS


def _center(z: Float[Tensor, "n f"], y: Tensor, task: Task) -> Float[Tensor, "f"]:
    if task.link == CLASSES:
        return class_means(z, one_hot(y, task.n_outputs, like=z)).mean(0)
    return z.mean(0)


def left_out_together(support: Examples, task: Task) -> tuple[Bool[Tensor, "n n"], bool]:
    """Leave-one-out mask over pairs of images: those of a patient, or of a fold.

    The second result is False where leaving out a patient would leave a class empty, so that
    out-of-fold scores are no evidence.
    """
    shows = task.present_classes(support.y.cpu())
    groups = torch.full((len(support),), -1) if support.groups is None else support.groups.cpu()
    own = own_groups(groups)
    evident = min(len(own[images].unique()) for images in shows.T if images.any()) > 1
    if evident and len(support) > MOST_ALONE:
        least = shows.int().argmax(1)
        pairs = grouped_folds(least, groups, min(MOST_HELD, len(own.unique())), 0)
        for fold, (_, held) in enumerate(pairs):
            own[held] = fold
    return own[:, None] == own, evident


def _regressed(
    grams: Sequence[Float[Tensor, "n n"]],
    targets: Float[Tensor, "n k"],
    together: Bool[Tensor, "n n"],
    evident: bool,
    support: Examples,
    task: Task,
) -> tuple[list[Float[Tensor, "n k"]], Float[Tensor, "k"]]:
    """Ridge regression; penalty, and the scale of logits, chosen by leave-one-out."""
    kernel = sum(grams, torch.zeros_like(grams[0])) / len(grams)
    mean, ones = targets.mean(0), kernel.new_ones(len(kernel))
    penalties = PENALTIES if evident else (1.0,)
    fits = [closed_form.ridge(kernel, targets - mean, p, ones, together) for p in penalties]
    best, left_out = min(fits, key=lambda fit: float((fit[1] - (targets - mean)).square().mean()))
    scale = 1.0
    if task.logits:
        scale = 4.0
        if evident:
            predicted = (left_out + mean).float()
            scale = min(SCALES, key=lambda s: float(task.loss(s * predicted, support.y)))
    return [scale * best / len(grams) for _ in grams], scale * mean
