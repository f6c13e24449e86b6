"""What epsilon can be, how it is written, and where it is refused."""

import pytest
import torch

from medshot.core.errors import ConfigError
from medshot.stages.robustness.threat_model import ThreatModel, read_epsilon


@pytest.mark.parametrize(
    ("text", "value"), [("4/255", 4 / 255), ("0.5", 0.5), ("8 / 255", 8 / 255), ("1e-2", 0.01)]
)
def test_fractions_and_numbers_are_read(text, value):
    assert read_epsilon(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["four", "", "4/0", "4/255/2", "4,5", "nan", "1e999999"])
def test_what_is_no_number_is_refused_by_what_was_written(text):
    with pytest.raises(ConfigError, match=r"epsilon is .*Write 4/255"):
        ThreatModel(read_epsilon(text))


@pytest.mark.parametrize("epsilon", [0.0, -0.1, float("nan"), float("inf")])
def test_an_epsilon_that_cannot_be(epsilon):
    for norm in ("linf", "l2"):
        with pytest.raises(ConfigError, match="above 0 and finite"):
            ThreatModel(epsilon, norm)


def test_grey_levels_that_were_not_divided_are_noticed():
    with pytest.raises(ConfigError, match="write 4/255"):
        ThreatModel(4.0)
    assert ThreatModel(4.0, "l2").epsilon == 4.0


def test_an_l2_epsilon_beyond_black_and_white_is_refused():
    with pytest.raises(ConfigError, match="16 values are at most 4 apart in L2"):
        ThreatModel(4.5, "l2").check(torch.rand(2, 1, 4, 4))
    ThreatModel(4.0, "l2").check(torch.rand(2, 1, 4, 4))


def test_images_of_another_range_are_refused():
    with pytest.raises(ConfigError, match="Divide 8-bit values"):
        ThreatModel(0.1).check(255 * torch.ones(1, 1, 2, 2))
    with pytest.raises(ConfigError, match="lie in"):
        ThreatModel(0.1).check(torch.full((1, 1, 2, 2), torch.nan))


def test_an_unknown_norm_gets_the_list():
    with pytest.raises(ConfigError, match=r"no norm called 'l1'.*l2, linf"):
        ThreatModel(0.1, "l1")


@pytest.mark.parametrize("budget", [ThreatModel(0.1), ThreatModel(0.5, "l2")])
def test_what_is_fitted_is_near_and_in_range(budget):
    x = torch.rand(5, 1, 6, 6)
    found = budget.fitted(x + torch.randn_like(x), x)
    assert found.min() >= 0
    assert found.max() <= 1
    change = (found - x).flatten(1)
    size = change.abs().max() if budget.norm == "linf" else change.norm(dim=1).max()
    assert size <= budget.epsilon + 1e-6


def test_it_is_written_as_one_writes_it():
    assert str(ThreatModel(4 / 255)) == "4/255"
    assert str(ThreatModel(0.01)) == "0.01"
    assert str(ThreatModel(0.5, "l2")) == "0.5"
