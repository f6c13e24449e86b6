"""Ensemble learner: several learners, weighted by their out-of-fold predictions."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import ConfigError, Examples, Learner, Predictor, Task, TaskError, part, unknown
from medshot.evaluation.cross_validation import FOLDS, folds_of
from medshot.nn.ensemble import Ensemble, Form, Stacked, convert_images
from medshot.stages.fuse.weights import equal_scores, fit_map, fit_scores, groups_of
from medshot.tasks import EVERY

NAME = "ensemble-of"
WAYS = ("mean", "weighted", "stack")


@part("learner", NAME)
class EnsembleOf(Learner):
    """Every candidate adapts to the whole support; their ensemble is the predictor.

    Source: van der Laan, Polley & Hubbard 2007, doi:10.2202/1544-6115.1309 (the super learner).
    With `how="weighted"` and `"stack"`, weights are fitted to outputs of the candidates that are
    out of fold by patient. Where cross-validation is impossible, and with `"mean"`, they are equal.
    """

    supports = EVERY
    source = "van der Laan et al. 2007, doi:10.2202/1544-6115.1309"
    trainable = False
    exact = False
    adapts_encoder = True  # each candidate has its own encoder

    def __init__(
        self, candidates: Sequence[Learner], how: str = "weighted", folds: int = FOLDS
    ) -> None:
        super().__init__()
        if how not in WAYS:
            raise unknown(how, WAYS, kind="way to fuse")
        if len(candidates) < 2:
            raise ConfigError(f"An ensemble has at least two learners, not {len(candidates)}.")
        self.how, self.folds = how, folds
        self.candidates = nn.ModuleList(candidates)
        self.encoder = max((c.encoder for c in candidates), key=_area)
        self.transductive = any(c.transductive for c in candidates)  # type: ignore[misc]

    def check(self, task: Task) -> None:
        """Raise `TaskError` if a candidate cannot do `task`, or outputs cannot be averaged."""
        if task.link is None:
            raise TaskError(f"Outputs for {task.kind} cannot be averaged: take one learner.")
        for candidate in self.each():
            candidate.check(task)

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Adapt every candidate, and fit the weights."""
        link, forms = str(task.link), self._forms()
        members = [self._learned(c, f, support, task) for c, f in self._pairs()]
        folds = folds_of(task.present_classes(support.y.cpu()), groups_of(support), most=self.folds)
        if self.how == "mean" or not folds:
            return Ensemble(members, forms, equal_scores(len(members)), link)
        outputs, y = self._left_out(support, task, folds), support.y.cpu()
        if self.how == "weighted":
            return Ensemble(members, forms, fit_scores(outputs, y, task), link)
        return Stacked(members, forms, *fit_map(outputs, y, groups_of(support), task), link)

    @torch.no_grad()
    def _left_out(
        self, support: Examples, task: Task, folds: list[tuple[Tensor, Tensor]]
    ) -> Float[Tensor, "m n k *s"]:
        """Out-of-fold outputs of each candidate."""
        order = torch.cat([held for _, held in folds]).argsort()
        found = []
        for rest, held in folds:
            learned = [self._learned(c, f, support[rest], task) for c, f in self._pairs()]
            whole = Ensemble(learned, self._forms(), equal_scores(len(learned)), str(task.link))
            found.append(whole.said(support.x[held]).double().cpu())
        return torch.cat(found, 1)[:, order]

    def _learned(self, candidate: Learner, form: Form, support: Examples, task: Task) -> Predictor:
        shown = Examples(convert_images(support.x, form), support.y, support.groups)
        return candidate.learn(shown, task)

    def each(self) -> list[Learner]:
        """The learners."""
        return [c for c in self.candidates if isinstance(c, Learner)]

    def _pairs(self) -> list[tuple[Learner, Form]]:
        return list(zip(self.each(), self._forms(), strict=True))

    def _forms(self) -> list[Form]:
        found: list[Form] = [_form(c.encoder) for c in self.each()]
        return [()] * len(found) if len(set(found)) == 1 else found


def _form(encoder: nn.Module) -> tuple[int, ...]:
    channels, size = (getattr(encoder, name, None) for name in ("channels", "size"))
    return (channels, size) if channels and size else ()


def _area(encoder: nn.Module) -> int:
    form = _form(encoder)
    return form[0] * form[1] ** 2 if form else 0
