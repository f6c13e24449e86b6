"""Choose among learners by cross-validation inside the support."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.core.parts import part
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.data.split import fewest_groups, grouped_folds
from medshot.evaluation.encoded import without_encoder
from medshot.evaluation.metrics import balanced_accuracy, macro_auroc
from medshot.tasks import Classification

FOLDS = 5


@part("learner", "auto")
class Auto(Learner):
    """Of several learners, the one that predicts the support's own folds best.

    Source: model selection by cross-validation (Stone 1974, J. R. Stat. Soc. B 36, 111-147),
    by balanced accuracy, then macro AUROC, then the order given. It is a learner like any
    other: judging it by an outer cross-validation repeats the choice in every fold, so that the
    choice does not flatter the score. Where a class has one patient only nothing can be left
    out, and the first candidate is taken.
    """

    supports = (Classification,)
    source = "selection by cross-validation, Stone 1974"
    trainable = False
    exact = False

    def __init__(self, candidates: Sequence[Learner]) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(candidates)
        self.encoder = candidates[0].encoder

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Learn with the chosen candidate."""
        return self.choose(support, task).learn(support, task)

    @torch.no_grad()
    def choose(self, support: Examples, task: Task) -> Learner:
        """The candidate that does best."""
        candidates = [c for c in self.candidates if isinstance(c, Learner)]
        folds = _folds(support, task)
        if not folds:
            return candidates[0]
        encoders = {id(c.encoder): c.encoder for c in candidates}
        features = {key: encoder(support.x) for key, encoder in encoders.items()}
        scores = [_score(c, features[id(c.encoder)], support, task, folds) for c in candidates]
        return candidates[max(range(len(scores)), key=lambda i: (scores[i], -i))]


def _folds(support: Examples, task: Task) -> list[tuple[Tensor, Tensor]]:
    """Folds by patient, or none where a class could vanish from a fold's rest."""
    y = support.y.cpu()
    groups = torch.full_like(y, -1) if support.groups is None else support.groups
    fewest = fewest_groups(y, groups)
    folds = grouped_folds(y, groups, min(FOLDS, fewest)) if fewest > 1 else []
    whole = [len(y[rest].unique()) == task.n_outputs for rest, _ in folds]
    return folds if all(whole) else []


def _score(
    learner: Learner, z: Tensor, support: Examples, task: Task, folds: list[tuple[Tensor, Tensor]]
) -> tuple[float, float]:
    """Balanced accuracy and macro AUROC of the out-of-fold answers, on features `z`."""
    headless = without_encoder(learner)
    found = torch.zeros(len(z), task.n_outputs, dtype=torch.float64)
    for rest, held in folds:
        predictor = headless.learn(Examples(z[rest], support.y[rest]), task)
        found[held] = task.probabilities(predictor(z[held]).double()).cpu()
    y = support.y.cpu().numpy()
    return balanced_accuracy(found.numpy(), y), macro_auroc(found.numpy(), y)
