"""Predictors that an earlier version saved still load, and predict what they did.

Each folder of `saved/` was written at commit 0686c60, before packages were renamed, with four
images and what was predicted for them: a learner with a head of its own, a linear head on features,
and an ensemble of two.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import medshot

SAVED = Path(__file__).with_name("saved")


@pytest.mark.parametrize("name", ["fused", "relation", "stacked-probe"])
def test_a_predictor_saved_before_predicts_the_same(name: str) -> None:
    check = load_file(SAVED / name / "check.safetensors")
    predictor = medshot.load_predictor(SAVED / name)
    assert torch.allclose(predictor.predict_batches(check["x"]), check["y"], atol=1e-5)
