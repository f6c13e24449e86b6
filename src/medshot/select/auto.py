"""Choose among learners by cross-validation inside the support."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.core.parts import part
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.data.split import own_groups, rarest
from medshot.evaluation.cross_validation import FOLDS, folds_of
from medshot.evaluation.encoded import AT_ONCE, encodes_alone, without_encoder
from medshot.tasks import EVERY

MOST = 400  # images to choose by: more choose the same, more slowly


@part("learner", "auto")
class Auto(Learner):
    """Of several learners, the one that predicts the support's own folds best.

    Source: model selection by cross-validation (Stone 1974, J. R. Stat. Soc. B 36, 111-147),
    by the first metric of the task, then the next, then the order given. It is a learner like any
    other: judging it by an outer cross-validation repeats the choice in every fold, so that the
    choice does not flatter the score. Where a class has one patient only nothing can be left
    out, and the first candidate is taken. Of a large support a part is enough to choose by. Fewer
    `folds` choose faster.
    """

    supports = EVERY
    source = "selection by cross-validation, Stone 1974"
    trainable = False
    exact = False
    adapts_encoder = True  # which encoder is used is chosen anew for each support

    def __init__(self, candidates: Sequence[Learner], folds: int = FOLDS) -> None:
        super().__init__()
        self.folds = folds
        self.candidates = nn.ModuleList(candidates)
        self.encoder = candidates[0].encoder

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Learn with the chosen candidate."""
        return self.choose(support, task).learn(support, task)

    @torch.no_grad()
    def choose(self, support: Examples, task: Task) -> Learner:
        """The candidate that does best."""
        candidates = [c for c in self.candidates if isinstance(c, Learner)]
        some = _some(support, task)
        shows = task.shows(some.y.cpu())
        folds = folds_of(shows, _groups(some), most=self.folds)
        if not folds or len(candidates) == 1:
            return candidates[0]
        features = _Features(some.x)
        scores = [_score(*features.under(c), some.y, task, folds) for c in candidates]
        return candidates[max(range(len(scores)), key=lambda i: (scores[i], -i))]


class _Features:
    """What candidates learn from: images, or their features, which one encoder gives once."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self._known: dict[int, Tensor] = {}

    def under(self, learner: Learner) -> tuple[Learner, Tensor]:
        """`learner` without its encoder and the features; as it is and the images, if it must."""
        if not encodes_alone(learner):
            return learner, self.x
        key = id(learner.encoder)
        if key not in self._known:
            batches = self.x.split(AT_ONCE)
            self._known[key] = torch.cat([learner.encoder(batch) for batch in batches])
        return without_encoder(learner), self._known[key]


def _some(support: Examples, task: Task) -> Examples:
    """`support`, or about `MOST` of its images, whole patients, as many a class where possible."""
    if len(support.y) <= MOST:
        return support
    shows = task.shows(support.y.cpu())
    y, own = rarest(shows), own_groups(_groups(support))
    order = torch.randperm(int(own.max()) + 1, generator=torch.Generator().manual_seed(0))[own]
    kept = torch.zeros(len(y), dtype=torch.bool)
    for c in range(shows.shape[1]):
        members = (y == c).nonzero().flatten()
        first = members[order[members].argsort(stable=True)][: MOST // shows.shape[1]]
        kept[first] = True
    return support[kept.nonzero().flatten().to(support.y.device)]


def _groups(support: Examples) -> Tensor:
    known = support.groups
    return torch.full((len(support),), -1) if known is None else known.cpu()


def _score(
    learner: Learner, x: Tensor, y: Tensor, task: Task, folds: list[tuple[Tensor, Tensor]]
) -> tuple[float, ...]:
    """All metrics of the out-of-fold answers."""
    found = []
    for rest, held in folds:
        fitted = task.fitted(y[rest])
        predictor = learner.learn(Examples(x[rest], y[rest]), fitted)
        found.append(fitted.decode(predictor(x[held]).double()).cpu())
    order = torch.cat([held for _, held in folds]).argsort()
    evidence = task.evidence(torch.cat(found)[order].numpy(), y.cpu().numpy())
    return tuple(score(*evidence) for score in task.metrics.values())
