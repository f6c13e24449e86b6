"""One thread within, as many as before after, also when something breaks."""

import pytest
import torch

from medshot.training.device import limit_threads


def test_threads_are_given_back():
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError), limit_threads():
            _ = 1 // (torch.get_num_threads() - 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
