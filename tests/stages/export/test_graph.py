"""Every class of predictor, and every kind of task, as a graph that gives its answers to 1e-4.

Learners whose predictor is of a class that another one's is are not tried: the code is the same.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

import toys
from medshot.core.errors import TaskError
from medshot.core.predictor import Predictor
from medshot.learners import build
from medshot.nn.onnx import session_of
from medshot.stages.export.graph import answering

ONE_A_CLASS = {
    "classification": (
        *("hypernetwork", "in-context", "linear-probe", "mahalanobis", "matching"),
        *("memory-network", "meta-memory", "nearest-centroid", "ntm", "relation", "siamese"),
        *("snail", "svm"),
    ),
    "enhancement": ("residual-ridge",),
    "multi-label": ("finetune",),
    "ordinal": ("finetune",),
    "regression": ("finetune",),
    "segmentation": ("in-context-masks", "linear-probe", "mean-mask"),
}
CASES = [(kind, name) for kind, names in ONE_A_CLASS.items() for name in names]


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda text: text)
def test_the_graph_answers_as_the_predictor_does(kind, name):
    predictor, ep = _adapted(kind, name)
    expected = ep.task.decode(predictor(ep.query.x)).numpy()
    session = session_of(answering(predictor).SerializeToString())
    (found,) = session.run(["answer"], {"images": ep.query.x.numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-4)
    (alone,) = session.run(["answer"], {"images": ep.query.x[:1].numpy()})
    np.testing.assert_allclose(alone, expected[:1], atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("classification", "tim", "transductive"),
        ("detection", "linear-probe", "utputs for detection are decoded by code.*any learner"),
        ("enhancement", "non-local-means", "runs code that cannot be in a graph"),
    ],
)
def test_what_no_graph_holds_is_refused_with_the_reason(kind, name, why):
    with pytest.raises(TaskError, match=f"{why}.*cannot be exported.*medshot predict"):
        answering(_adapted(kind, name)[0])


def test_a_graph_that_answers_otherwise_is_not_written(monkeypatch):
    predictor, _ = _adapted("classification", "nearest-centroid")
    frozen = predictor.freeze()
    monkeypatch.setattr(type(frozen), "freeze", lambda self: self)
    was = type(frozen).forward
    calls = []

    def wavers(self: Predictor, x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return was(self, x) * (1 if len(calls) == 1 else 3)

    monkeypatch.setattr(type(frozen), "forward", wavers)
    with pytest.raises(TaskError, match="are off by"):
        answering(frozen.with_card(predictor.card))


def _adapted(kind, name):
    task = toys.task_of(kind)
    ep = toys.episode(task)
    torch.manual_seed(0)
    predictor = build(name, encoder=toys.encoder(task)).adapt(ep.support, task).freeze()
    channels = ep.query.x.shape[1]
    form = toys.card(3).preprocessing
    object.__setattr__(form, "channels", channels)  # toys have 8: none of a real image
    return predictor.with_card(replace(toys.card(3), task=task, preprocessing=form)), ep
