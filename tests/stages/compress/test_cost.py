"""Costs are those of the saved weights, asked in a process of their own."""

from pathlib import Path

import pytest

import toys
from medshot.core.errors import SaveError, TrainingError
from medshot.stages.compress.cost import costs
from medshot.stages.compress.prune import cut
from toys.networks import classifier, n_parameters


def test_a_smaller_predictor_costs_less():
    large = classifier(width=128)
    small = cut(large, toys.images(), 0.75).with_card(large.card)
    found = costs({"large": large, "small": small}, rounds=10)
    assert list(found) == ["large", "small"]
    bytes_of = 4 * n_parameters(small)
    assert bytes_of < 1e6 * found["small"].megabytes < bytes_of + 8000  # and their names
    assert found["small"].megabytes < found["large"].megabytes / 8
    assert found["small"].milliseconds > 0
    assert found["large"].milliseconds > 0
    if Path("/proc/self/clear_refs").exists():
        assert 4e-6 * n_parameters(large) < found["large"].memory < 100


def test_what_cannot_be_saved_or_loaded_is_said(monkeypatch):
    with pytest.raises(SaveError, match="transductive"):
        costs({"one": classifier(norm="transductive")})
    monkeypatch.setattr(
        "medshot.stages.compress.cost.MEASURED_BY", "medshot.stages.compress.not_there"
    )
    with pytest.raises(TrainingError, match=r"could not be measured: .*No module named"):
        costs({"one": classifier()}, rounds=1)
