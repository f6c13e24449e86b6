"""Few-shot learners as estimators of scikit-learn: pipelines, grid search, its cross-validation."""

from typing import Any

import numpy as np
import torch
from numpy import ndarray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from medshot.core import ConfigError, Examples, Predictor
from medshot.data.arrays import pixels_of
from medshot.data.tables.cells import patient_code, patient_numbers
from medshot.data.transforms import resized, unit
from medshot.learners.registry import build
from medshot.tasks import Classification

TABLE = 2  # axes of a table of features


class FewShotClassifier(ClassifierMixin, BaseEstimator):
    """A learner of `medshot.list_learners("classification")` as a classifier of scikit-learn.

    `X` is a table of features `n f`, each column of which is brought to mean 0 and deviation 1
    over the support; or images as `medshot.dataset` takes them, `n h w`, `n h w c` or `n c h w`.

    Args:
        learner: a name.
        encoder: a name of `medshot.list_encoders()` or any `nn.Module`; by default none for
            tables, and `mobilenet` for images.
        options: further options of the learner, by name.
        random_state: decides weights that are drawn: those of an untrained encoder.

    Raises:
        ValueError: what scikit-learn asks of classifiers to refuse; all errors of medshot are one.
    """

    def __init__(
        self,
        learner: Any = "stacked-probe",  # scikit-learn wants that nothing is checked before `fit`
        *,
        encoder: Any = None,
        options: Any = None,
        random_state: Any = 0,
    ) -> None:
        self.learner = learner
        self.encoder = encoder
        self.options = options
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> "FewShotClassifier":  # noqa: N803
        """Learn from examples `X` and a class each; `groups` says whom each is from."""
        X, y = self._checked(X, y)  # noqa: N806
        check_classification_targets(y)
        encoded = LabelEncoder().fit(y)
        self.classes_: ndarray = np.asarray(encoded.classes_)
        if len(self.classes_) < 2:
            raise ValueError("Nothing to tell apart: y has one class, and two are needed.")
        self._scale(X)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            default = nn.Identity() if self.table_ else "mobilenet"
            encoder = default if self.encoder is None else self.encoder
            learner = build(self.learner, encoder=encoder, **(self.options or {}))
            if learner.transductive:
                raise ConfigError(f"{self.learner} is transductive: it has no predictions of one.")
            sides = (getattr(learner.encoder, name, None) for name in ("channels", "size"))
            self.form_ = tuple(sides)
            who = None
            if groups is not None:
                who = torch.tensor(patient_numbers([patient_code(each) for each in groups]))
            support = Examples(self._tensor(X), torch.from_numpy(encoded.transform(y)).long(), who)
            found = learner.adapt(support, Classification(len(self.classes_)))
        self.predictor_: Predictor = found.freeze()
        return self

    @torch.no_grad()
    def predict_proba(self, X: Any) -> ndarray:  # noqa: N803
        """A probability for each class, `n k`, in the order of `classes_`."""
        check_is_fitted(self)
        X, _ = self._checked(X)  # noqa: N806
        x = self._tensor(X)
        rows = [
            self.predictor_.predict_batches(each[None]) for each in x
        ]  # of one: whoever is beside
        return torch.cat(rows).double().softmax(1).numpy()

    def predict(self, X: Any) -> ndarray:  # noqa: N803
        """The most probable class of each example."""
        odds = self.predict_proba(X)  # says it if nothing was fitted
        return self.classes_[odds.argmax(1)]

    def _checked(self, X: Any, y: Any = None) -> tuple[Any, Any]:  # noqa: N803
        """Tables as scikit-learn checks them; images with 3 or 4 axes as they are."""
        fitting = y is not None
        given: Any = X  # scikit-learn's own annotations name its default alone
        images = np.ndim(given) > TABLE if isinstance(X, ndarray | Tensor | list) else False
        if not images:
            if fitting:
                self.table_ = True
                checked: Any = validate_data(self, given, y, dtype=np.float64)
                return checked
            return validate_data(self, given, reset=False, dtype=np.float64), None
        if fitting:
            self.table_ = False
            return X, np.asarray(y)
        if self.table_:
            raise ValueError("This was fitted to a table of features n f, and these are images.")
        return X, None

    def _scale(self, X: Any) -> None:  # noqa: N803
        if self.table_:
            self.mean_ = X.mean(0)
            spread = X.std(0)
            self.scale_ = np.where(spread > 0, spread, 1.0)

    def _tensor(self, X: Any) -> Tensor:  # noqa: N803
        if self.table_:
            return torch.from_numpy((X - self.mean_) / self.scale_).float()
        pixels, (channels, size) = pixels_of(X), self.form_
        wanted = (channels or pixels.shape[1], size or max(pixels.shape[2:]))
        same = pixels.shape[1:] == (wanted[0], wanted[1], wanted[1])
        return unit(pixels if same else resized(pixels, *wanted))
