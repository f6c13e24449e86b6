"""Choose among learners by cross-validation inside the support."""

from collections.abc import Sequence

from torch import nn

from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.core.parts import part
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.evaluation.cross_validation import FOLDS
from medshot.select.bench import Bench
from medshot.select.tried import best_of, through
from medshot.tasks import EVERY


@part("learner", "auto")
class Auto(Learner):
    """Of several learners, the one that predicts the support's own folds best.

    Source: model selection by cross-validation (Stone 1974, J. R. Stat. Soc. B 36, 111-147),
    by the first metric of the task, then the next, then the order given. It is a learner like any
    other: judging it by an outer cross-validation repeats the choice in every fold, so that the
    choice does not flatter the score. Where a class has one patient only nothing can be left
    out, and the first candidate is taken; so it is where none could be tried to the end. Of a large
    support a part is enough to choose by. Fewer `folds` choose faster.
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

    def choose(self, support: Examples, task: Task) -> Learner:
        """The candidate that does best."""
        candidates = [c for c in self.candidates if isinstance(c, Learner)]
        bench = Bench(lambda encoder: support.x, support.y, support.groups, task, self.folds)
        if not bench.folds or len(candidates) == 1:
            return candidates[0]
        best = best_of([through(bench, lambda made=c: made) for c in candidates])
        return candidates[0 if best is None else best]
