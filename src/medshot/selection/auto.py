"""Auto: choose among learners by cross-validation on the support."""

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import Examples, Learner, Predictor, SupportSet, Task, part
from medshot.evaluation.cross_validation import FOLDS, drawn_again
from medshot.selection.choice import TrialResult, best_of, through
from medshot.selection.cross_validator import CrossValidator
from medshot.tasks import EVERY

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
    eq. 2.10). With few images the choice follows the prior, with many the data.

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
        prior: Sequence[Sequence[float]] = (),
    ) -> None:
        super().__init__()
        self.folds, self.prior = folds, [tuple(pair) for pair in prior]
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
        tried = [through(bench, lambda made=c: made) for c in candidates]
        best = self._by_prior(bench, tried) if self.prior and tried[0].whole else best_of(tried)
        return candidates[0 if best is None else best]

    def _by_prior(self, bench: CrossValidator, tried: Sequence[TrialResult]) -> int:
        """Index of the highest posterior mean of the score minus that of the first."""
        score = bench.task.metrics[bench.task.leading]
        first = tried[0].evidence or ()
        draws = list(drawn_again(bench.groups, bench.strata, DRAWS))
        expected = [0.0]
        for (mean, deviation), each in zip(self.prior[1:], tried[1:], strict=True):
            if each.evidence is None:
                expected.append(float("-inf"))
                continue
            minus = np.array(
                [
                    score(*(rows[at] for rows in each.evidence)) - score(*(r[at] for r in first))
                    for at in draws
                ]
            )
            found = score(*each.evidence) - score(*first)
            noise = np.nanvar(minus) + 1 / len(bench.groups) ** 2  # floor of the variance
            share = deviation**2 / (deviation**2 + noise)
            expected.append(float(mean + share * (np.nan_to_num(found) - mean)))
        return int(np.argmax(expected))
