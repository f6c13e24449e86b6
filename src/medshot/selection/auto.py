"""Auto: choose among learners by cross-validation on the support."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import (
    PARTS,
    Examples,
    Learner,
    Predictor,
    SupportSet,
    Task,
    names,
    part,
    unknown,
)
from medshot.evaluation.cross_validation import FOLDS, drawn_again
from medshot.selection.choice import TrialResult, mean_of, ranks, through
from medshot.selection.cross_validator import CrossValidator
from medshot.tasks import EVERY

Priors = Sequence[Sequence[float]] | Mapping[str, Sequence[Sequence[float]]]
DRAWS = 200  # bootstrap draws for the standard error of a difference
IMAGES = 4  # dimensions of a batch of 2D images


@part("predictor", "resized")
class Resized(Predictor):
    """`predictor` for squares of `size` pixels, with inputs of other sizes resized."""

    def __init__(self, predictor: Predictor, size: int) -> None:
        super().__init__()
        self.predictor, self.size = predictor, size
        self.exportable = predictor.exportable

    def forward(self, x: Float[Tensor, "n c h w"]) -> Tensor:
        """Resize and predict."""
        return self.predictor(at_size(x, self.size))


def at_size(x: Float[Tensor, "n c *s"], size: int | None) -> Float[Tensor, "n c *t"]:
    """Resize squares to `size` pixels, with antialiasing; other data are unchanged."""
    if size is None or x.ndim != IMAGES or x.shape[-1] == size:
        return x
    return F.interpolate(x, (size, size), mode="bilinear", antialias=True).clamp(0, 1)


def learn_at_size(learner: Learner, support: Examples, task: Task) -> Predictor:
    """Learn from `support`, resizing its images to the learner's size if needed."""
    size = getattr(learner.encoder, "size", None)
    x = at_size(support.x, size)
    if size is None or x is support.x:
        return learner.learn(support, task)
    return Resized(learner.learn(Examples(x, support.y, support.groups), task), size)


@part("learner", "auto")
class Auto(Learner):
    """Choose the learner with the best cross-validation score on the support.

    Source: model selection by cross-validation (Stone 1974, J. R. Stat. Soc. B 36, 111-147), by
    the task's leading metric, then the next, then the given order. It is a learner like any
    other: evaluating it by an outer cross-validation repeats the choice in every fold, so that
    the score is not optimistically biased by it. If a class has only one patient, nothing can be
    left out and the first candidate is taken; likewise if every candidate fails. A large support
    is subsampled for the choice. Fewer `folds` are faster.

    With `prior`, a mean and a standard deviation for each candidate, the score of candidate c minus
    that of the first is assumed normal across data sets, N(mean, deviation^2). A cross-validated
    difference d with standard error s (bootstrap over patients) then gives the posterior mean

        mean + deviation^2 / (deviation^2 + s^2) (d - mean),

    and the candidate with the highest one is taken (Gelman et al. 2013, Bayesian Data Analysis,
    eq. 2.10). With few images the choice follows the prior, with many the data. A mapping has the
    priors for numbers of images of the support, of which the nearest by ratio is taken.

    `average` names a learner that averages others (`ensemble-of`). The mean of the two best
    candidates is then a candidate too, judged by the predictions that they made already; its prior
    comes last.

    Candidates may take images of different sizes: the support has the largest of them, and is
    downsampled for the others.
    """

    supports = EVERY
    source = "selection by cross-validation, Stone 1974"
    trainable = False
    exact = False
    adapts_encoder = True  # the choice of the encoder depends on the support
    chooses = True

    def __init__(
        self,
        candidates: Sequence[Learner],
        folds: int = FOLDS,
        prior: Priors = (),
        average: str = "",
    ) -> None:
        super().__init__()
        priors = prior if isinstance(prior, Mapping) else {"1": prior}
        self.prior = {int(shot): [tuple(p) for p in pairs] for shot, pairs in priors.items()}
        self.folds, self.average = folds, average
        self.candidates = nn.ModuleList(candidates)
        largest = max(candidates, key=lambda c: getattr(c.encoder, "size", None) or 0)
        self.encoder = largest.encoder
        self.origin = candidates[0].origin

    def check(self, task: Task) -> None:
        """Raise `TaskError` if the first candidate does not support `task`."""
        next(c for c in self.candidates if isinstance(c, Learner)).check(task)

    def adapt(self, support: Examples | SupportSet, task: Task | None = None) -> Predictor:
        """Adapt as any learner; from a folder, the chosen candidate reads images at its size."""
        if isinstance(support, Examples):
            return super().adapt(support, task)
        examples, card = support.support(self.encoder)
        return self.choose(examples, card.task).adapt(support)

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Adapt the chosen candidate."""
        return learn_at_size(self.choose(support, task), support, task)

    def choose(self, support: Examples, task: Task) -> Learner:
        """Return the best candidate."""
        candidates = [c for c in self.candidates if isinstance(c, Learner)]

        def images(encoder: nn.Module) -> Tensor:
            return at_size(support.x, getattr(encoder, "size", None))

        bench = CrossValidator(images, support.y, support.groups, task, self.folds)
        if not bench.folds or len(candidates) == 1:
            return candidates[0]
        keep = bool(self.average)
        tried = [through(bench, lambda made=c: made, keep=keep) for c in candidates]
        prior = self._prior_for(len(support))
        worth = [
            _worth(bench, each, tried[0], prior[i] if prior else ()) for i, each in enumerate(tried)
        ]
        whole = [i for i, each in enumerate(tried) if each.whole]
        order = sorted(whole, key=lambda i: worth[i], reverse=True)  # ties: the given order
        if not order:
            return candidates[0]
        if keep and len(order) > 1:
            pair = sorted(order[:2])
            both = mean_of(bench, *(tried[i] for i in pair))
            if both and _worth(bench, both, tried[0], prior[-1] if prior else ()) > worth[order[0]]:
                return self._averaging([candidates[i] for i in pair])
        return candidates[order[0]]

    def without(self, i: int) -> "Auto":
        """The same choice without candidate `i`, which is not the first."""
        prior = {str(shot): [*p[:i], *p[i + 1 :]] for shot, p in self.prior.items() if p}
        rest = [c for j, c in enumerate(self.candidates) if j != i and isinstance(c, Learner)]
        return Auto(rest, self.folds, prior, self.average).eval()

    def _prior_for(self, images: int) -> Sequence[Sequence[float]]:
        """The prior of the number of images that is nearest, by ratio."""
        if not self.prior:
            return ()
        return self.prior[min(self.prior, key=lambda shot: abs(math.log(shot / images)))]

    def _averaging(self, pair: Sequence[Learner]) -> Learner:
        """The learner that averages these two."""
        name = f"learner/{self.average}"
        if name not in PARTS:
            raise unknown(self.average, names("learner"), kind="learner that averages")
        return PARTS[name](pair, how="mean").eval()


def _worth(
    bench: CrossValidator, tried: TrialResult, first: TrialResult, prior: Sequence[float]
) -> tuple[float, ...]:
    """Rank of a candidate: its posterior mean, or its scores where there is no prior."""
    if not prior or first.evidence is None or tried.evidence is None:
        return ranks(tried)
    if tried is first:
        return (0.0,)
    metric = bench.task.leading
    found = tried.scores[metric] - first.scores[metric]
    mean, deviation = prior
    variance = difference_variance(bench, tried, first)
    return (posterior_mean(mean, deviation, float(np.nan_to_num(found)), variance),)


def posterior_mean(mean: float, deviation: float, found: float, variance: float) -> float:
    """Mean of N(mean, deviation^2) after `found` was measured with this `variance`."""
    return float(mean + deviation**2 / (deviation**2 + variance) * (found - mean))


def difference_variance(bench: CrossValidator, tried: TrialResult, first: TrialResult) -> float:
    """Variance of the difference of two leading metrics: bootstrap over patients, with a floor."""
    score = bench.task.metrics[bench.task.leading]
    mine, others = tried.evidence or (), first.evidence or ()
    minus = [
        score(*(rows[at] for rows in mine)) - score(*(rows[at] for rows in others))
        for at in drawn_again(bench.groups, bench.strata, DRAWS)
    ]
    return float(np.nanvar(minus) + 1 / len(bench.groups) ** 2)
