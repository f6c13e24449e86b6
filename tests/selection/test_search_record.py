"""What is written of a trial is read again, to the bit, and holds no pickle."""

import json
from types import SimpleNamespace

import numpy as np

from medshot.selection.choice import TrialResult
from medshot.selection.search import TRIED, read, written


def _again(tried: TrialResult) -> TrialResult:
    text = json.loads(json.dumps(written(tried)))
    return read(SimpleNamespace(user_attrs={TRIED: text, "seconds": tried.seconds}))


def test_evidence_comes_back_with_its_types():
    evidence = np.random.default_rng(0).random((5, 2)), np.arange(5)
    again = _again(TrialResult({"accuracy": 0.1}, 2.5, evidence=evidence))
    assert again.evidence is not None
    for one, other in zip(evidence, again.evidence, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert (again.scores, again.seconds, again.why) == ({"accuracy": 0.1}, 2.5, "")


def test_what_was_stopped_has_none():
    again = _again(TrialResult({}, 0.1, "failed: x"))
    assert again.evidence is None
    assert again.why == "failed: x"
