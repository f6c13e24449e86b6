"""What every learner's predictor promises once it is frozen: it stands alone, saves, exports."""

from dataclasses import replace

import pytest
import torch

import toys
from medshot.core.errors import SaveError
from medshot.core.predictor import load_predictor


def test_a_frozen_predictor_agrees_and_shares_nothing(case):
    learner, ep = case
    predictor = learner.adapt(ep.support, ep.task)
    expected = predictor(ep.query.x).detach()
    frozen = predictor.freeze()
    assert not any(t.requires_grad for t in (*frozen.parameters(), *frozen.buffers()))
    assert not any(module.training for module in frozen.modules())
    with torch.no_grad():
        for tensor in (*learner.parameters(), *learner.buffers()):
            tensor.zero_()
    output = frozen(ep.query.x)
    assert not output.requires_grad
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)


def test_a_predictor_can_be_moved_before_it_is_frozen(case):
    learner, ep = case
    predictor = learner.adapt(ep.support, ep.task).double()
    assert predictor.freeze()(ep.query.x.double()).dtype == torch.float64


def test_a_loaded_predictor_gives_the_numbers_of_the_saved_to_the_bit(case, tmp_path):
    learner, ep = case
    frozen = learner.adapt(ep.support, ep.task).freeze()
    card = replace(toys.card(ep.task.n_outputs), task=ep.task)
    frozen.with_card(card)
    if learner.transductive:
        with pytest.raises(SaveError, match="depends on the other images"):
            frozen.save(tmp_path / "saved")
        return
    frozen.save(tmp_path / "saved")
    loaded = load_predictor(tmp_path / "saved")
    torch.testing.assert_close(loaded(ep.query.x), frozen(ep.query.x), rtol=0, atol=0)
    assert loaded.card == card
    assert not loaded.training


def test_a_frozen_predictor_exports(case):
    learner, ep = case
    if learner.transductive:
        pytest.skip("transductive: to be measured, not to be deployed")
    frozen = learner.adapt(ep.support, ep.task).freeze()
    if not frozen.exportable:
        pytest.skip("runs code that no graph holds, and says so")
    exported = torch.export.export(frozen, (ep.query.x,)).module()
    torch.testing.assert_close(exported(ep.query.x), frozen(ep.query.x), atol=1e-5, rtol=1e-5)
