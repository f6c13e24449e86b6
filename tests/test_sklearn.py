"""scikit-learn's own checks of an estimator, and what images add."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import SkipTestWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import toys
from medshot.core import Examples
from medshot.core.errors import ConfigError
from medshot.sklearn import FewShotClassifier


@pytest.mark.parametrize("learner", ["stacked-probe", "prototypical"])
def test_scikit_learn_accepts_it(learner):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        done = check_estimator(FewShotClassifier(learner))
    assert {check["status"] for check in done} <= {"passed", "skipped", "xfail"}
    assert not [check["check_name"] for check in done if check["status"] == "xfail"]


def test_a_table_in_a_pipeline_and_a_search():
    x, y = load_iris(return_X_y=True)
    few = slice(None, None, 5)
    scores = cross_val_score(make_pipeline(StandardScaler(), FewShotClassifier()), x[few], y[few])
    assert scores.mean() > 0.7
    grid = GridSearchCV(FewShotClassifier(), {"learner": ["lda", "nearest-centroid"]}, cv=3)
    assert grid.fit(x[few], y[few]).best_score_ > 0.8


@pytest.mark.parametrize("layout", ["n c h w", "n h w c", "n h w"])
def test_images_by_patient(layout):
    data = toys.dataset()
    x = data.x.numpy()
    x = {"n c h w": x, "n h w c": x.transpose(0, 2, 3, 1), "n h w": x[:, 0]}[layout]
    y, who = np.array(data.labels)[data.y], np.arange(len(data)) // 2
    classifier = FewShotClassifier("nearest-centroid", encoder=toys.conv4())
    again = clone(classifier).fit(x / 255, y)
    odds = classifier.fit(x, y, groups=who).predict_proba(x)
    np.testing.assert_allclose(odds.sum(1), 1)
    assert odds.shape == (len(x), len(data.labels))
    np.testing.assert_allclose(odds, again.predict_proba(x), atol=1e-5)
    scores = cross_val_score(classifier, x, y, groups=who, cv=GroupKFold(2), error_score="raise")
    assert len(scores) == 2


def test_what_cannot_be_is_said():
    x, y = load_iris(return_X_y=True)
    with pytest.raises(ConfigError, match="transductive"):
        FewShotClassifier("tim").fit(x, y)
    with pytest.raises(ValueError, match="these are images"):
        FewShotClassifier("lda").fit(x, y).predict(np.zeros((2, 8, 8)))


def test_groups_that_are_written_alike_are_one(monkeypatch):
    seen = []

    def examples(x, y, groups):
        seen.append(groups.tolist())
        return Examples(x, y, groups)

    monkeypatch.setattr("medshot.sklearn.Examples", examples)
    x, y = np.random.default_rng(0).normal(size=(4, 3)), [0, 1, 0, 1]
    FewShotClassifier("nearest-centroid").fit(x, y, groups=["P1", "p01", 7, None])
    assert seen == [[1, 1, 0, -1]]
