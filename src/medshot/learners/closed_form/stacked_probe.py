"""Stacked probe: closed-form classifiers on whitened features, blended by what they leave out."""

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

from medshot.core.episode import Examples
from medshot.core.errors import SaveError
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.data.episodes import own_groups
from medshot.data.split import grouped_folds
from medshot.inner import closed_form
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoders.adapters import TINY, WhitenedBlocks, directions, shortened
from medshot.nn.encoders.mobilenet import DEPTHS, MobileNet
from medshot.nn.heads import Linear, class_means, features
from medshot.tasks import Classification, MultiLabel, Ordinal, Regression, one_hot

PACKAGED = Path(__file__).with_name("prior")  # prior.json and factors.safetensors
CLASSES = "softmax"  # the link of a task whose outputs are classes, one an image
MOST_HELD = 10  # sets left out one after the other where there are more patients
MOST_ALONE = 40  # images up to which each patient is left out alone
LAST = slice(-3, -1)  # blocks of the last depth: mean and deviation
IMAGES = 4  # axes of a batch of images
PENALTIES = tuple(10.0**i for i in range(-3, 3))  # among which leaving out chooses
SCALES = tuple(2.0 ** (i / 2) for i in range(-8, 17))  # of scores, likewise
NUMBERS = ("log_weight", "log_temperature", "way", "apart", "log_evidence", "scale_spread")


class Member(NamedTuple):
    """A classifier of the blend: its kind, its penalty, and how much the statistics count.

    `statistics` is the weight of their block in the kernel; every other block has weight 1.
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
    """What the members have learned, and what they say of the support without its patient."""

    coefficients: Float[Tensor, "m n k"]
    left_out: Float[Tensor, "m n k"]


@register("stacked-probe")
class StackedProbe(OnFeatures):
    """Prototypes and ridge regression on whitened features, blended by leave-one-out.

    Stacking by what is left out: Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1. The support's
    features are averaged over each image and its mirror image, whitened block by block by the
    covariance within the classes of *other* data sets (Fisher's discriminant with a covariance that
    is meta-learned; Bateni et al. 2020, arXiv:1912.03432), centered on the mean of the class means,
    and brought to unit length (`WhitenedBlocks`). On their inner products K three classifiers are
    fitted in closed form (`MEMBERS`). With L_m the mean log likelihood of the support's labels by
    member m without the label's patient, at its temperature t_m, the blend is

        w_m = softmax_m(a_m + e n L_m),     t_m = exp(b_m + c log(k/3) + d phi),
        scores = s sum_m w_m t_m f_m,       log s ~ N(0, sigma^2) before the support is seen,

    s being its mean once the support is seen, by the likelihood of what is left out. phi says how
    far the classes are apart: the log of the squared distance between class means over what images
    of one class differ by in other data sets, at the last depth. It is known from one image a class
    on, where nothing can be left out. The prior (a_m, b_m, c, d, e, sigma, for each number of
    images a class) is meta-learned on other data sets (`prior`: a folder with prior.json and
    factors.safetensors, by default the one in the package, made by `experiments/stacked_probe.py`).
    All of it is linear in the directions, so that the predictor is one linear map.

    Grades, several findings and numbers are regressed on by ridge, the penalty being the one that
    errs least on what is left out. On an encoder that the prior does not know, nothing is whitened.
    Images that differ from their mirror image by class (left and right) need `mirror=False`.

    Source: as above; what the blend is worth is in docs/results.md.
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
        """Features of images averaged with those of their mirror images."""
        return self._read(self.encoder, x)

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> Predictor:
        """Whiten, fit the members, blend."""
        encoder = self._seeing(task)
        return self._fitted(encoder, self._read(encoder, support.x), support, task)

    @torch.no_grad()
    def fit(self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Tensor, task: Task) -> Predictor:
        """The predictor that features of the support teach, each of a patient of its own."""
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
        blocks = [b.double() for b in directions(whitened, center, sizes)]
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
        """Each member fitted to the support, and to the support without each set of rows."""
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
        """How much each block counts for each member; they add up to about 1."""
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
        """The weight of each member's scores, temperature included, and the scale of the sum."""
        n, k = labels.shape
        prior = at_shot(_tables(self.prior)[0], n / k)
        numbers = {name: torch.tensor(prior[name]).to(labels) for name in NUMBERS}
        known = torch.tensor(evident, device=labels.device)
        weights, log_scale = weighted(
            numbers, found.left_out[:, None], labels[None], labels.new_tensor([apart]), known
        )
        return weights[:, 0], float(log_scale.exp())

    def apart(self, whitened: Float[Tensor, "n f"], labels: Float[Tensor, "n k"]) -> float:
        """How far the classes are apart for images of other sets' classes: phi above."""
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
    """Weights of the members and the log of the scale, for `e` supports of `n` images.

    `evident`: whether `left_out` says anything (else the prior alone decides).
    """
    k = labels.shape[-1]
    center = prior["way"] * math.log(k / 3) + prior["apart"] * apart
    temperatures = (prior["log_temperature"][:, None] + center).exp()
    told = labels * alike(labels)[..., None]
    scores = (temperatures[..., None, None] * left_out).log_softmax(-1)
    likelihood = evident * (scores * told).sum((-1, -2))
    logits = prior["log_weight"][:, None] + prior["log_evidence"].exp() * likelihood
    weights = logits.softmax(0) * temperatures
    blended = (weights[..., None, None] * left_out).sum(0)
    scales = torch.tensor(SCALES).to(labels)
    fits = [((s * blended).log_softmax(-1) * told).sum((-1, -2)) for s in scales]
    likely = evident * torch.stack(fits)  # s e
    far = scales.log().square()[:, None] / (2 * prior["scale_spread"] ** 2)
    posterior = (likely - far).softmax(0)
    return weights, (posterior * scales.log()[:, None]).sum(0)


def alike(labels: Float[Tensor, "*e n k"]) -> Float[Tensor, "*e n"]:
    """Weights of images with which classes count alike; their mean is 1."""
    n, k = labels.shape[-2:]
    return (labels / labels.sum(-2, keepdim=True)).sum(-1) * n / k


def apart(
    whitened: Float[Tensor, "n f"],
    labels: Float[Tensor, "n k"],
    sizes: Sequence[int],
    within: Float[Tensor, "2"],
) -> Float[Tensor, ""]:
    """The log of how far class means are apart, squared, over `within`, at the last depth.

    `within` is the same of images of one class in other sets, for the mean and the deviation over
    the map. What is before the last depth predicts worse how far the scores can be trusted.
    """
    k = labels.shape[1]
    means = class_means(whitened, labels.to(whitened))
    spread = (means - means.mean(0)).square() * k / (k - 1)
    between = torch.stack([b.sum(1).mean() for b in spread.split(list(sizes), 1)[LAST]])
    return (between / within).mean().clamp(min=TINY).log()


def at_shot(prior: dict[str, Any], shot: float) -> dict[str, Any]:
    """The numbers of the prior for so many images a class: linear in their logarithm."""
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
    """The prior in a folder: its numbers, and the factors of the covariance within classes."""
    place = _place(folder)
    try:
        numbers = json.loads((place / "prior.json").read_text(encoding="utf-8"))
        factors = load_file(place / "factors.safetensors")["factors"].float()
        if not (np.array(numbers["within"]) > 0).all():
            raise ValueError("what images of a class differ by is not above 0")
        for shot in (1.0, *numbers["shots"]):
            here = at_shot(numbers, float(shot))
            if {len(here[name]) for name in NUMBERS[:2]} != {len(MEMBERS)}:
                raise ValueError(f"it is not of {len(MEMBERS)} members")
            if not all(np.isfinite(here[name]).all() for name in NUMBERS):
                raise ValueError("a number is not finite")
    except Exception as error:  # whatever a damaged file makes its reader raise
        raise _no_prior(place, str(error)) from error
    return numbers, factors


def _place(folder: str | None) -> Path:
    return Path(folder) if folder else PACKAGED


def _no_prior(place: Path, why: str) -> SaveError:
    return SaveError(
        f"{place} is no prior of stacked-probe ({why}). Make it by experiments/stacked_probe.py, "
        "or install the package again: pip install --force-reinstall medshot"
    )


def _is_known(encoder: nn.Module) -> bool:
    return isinstance(encoder, MobileNet) and encoder.packaged and encoder.depths == DEPTHS


def _center(z: Float[Tensor, "n f"], y: Tensor, task: Task) -> Float[Tensor, "f"]:
    if task.link == CLASSES:
        return class_means(z, one_hot(y, task.n_outputs, like=z)).mean(0)
    return z.mean(0)


def left_out_together(support: Examples, task: Task) -> tuple[Bool[Tensor, "n n"], bool]:
    """Which images are left out together: a patient's, or with many images those of a fold.

    And whether what is said of them is evidence: not where a class would have no patient left.
    """
    shows = task.shows(support.y.cpu())
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
    """Ridge regression with the penalty, and where outputs are logits the scale, left out says."""
    kernel = sum(grams, torch.zeros_like(grams[0])) / len(grams)
    mean, ones = targets.mean(0), kernel.new_ones(len(kernel))
    penalties = PENALTIES if evident else (1.0,)
    fits = [closed_form.ridge(kernel, targets - mean, p, ones, together) for p in penalties]
    best, left_out = min(fits, key=lambda fit: float((fit[1] - (targets - mean)).square().mean()))
    scale = 1.0
    if task.logits:
        scale = 4.0
        if evident:
            said = (left_out + mean).float()
            scale = min(SCALES, key=lambda s: float(task.loss(s * said, support.y)))
    return [scale * best / len(grams) for _ in grams], scale * mean
