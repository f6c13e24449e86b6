import numpy as np
import pytest

from medshot.evaluation.report.model import Scatter


def test_a_scatter_is_of_pairs() -> None:
    with pytest.raises(ValueError, match="needs pairs"):
        Scatter("mm", np.zeros(3), np.zeros(2))
