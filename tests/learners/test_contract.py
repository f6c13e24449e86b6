"""What every learner promises of `adapt` and of the predictor that it gives."""

import pytest

from medshot.testing.learner import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_contract(case, check):
    check(*case)
