"""Assertions of the contract tests, with messages that name the contract and the finding."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from medshot.core.errors import MedshotError


def require(so: bool, otherwise: str) -> None:
    """Raise `AssertionError` with a message, also under `python -O`."""
    if not so:
        raise AssertionError(otherwise)


def require_close(found: Tensor, wanted: Tensor) -> None:
    """Raise `AssertionError` where two tensors differ by more than rounding."""
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)


def run_check(check: Callable[..., None], *given: Any, who: str) -> None:
    """Run one check, whose docstring is the promise of the contract.

    Raises:
        AssertionError: the promise is broken, or the tested code raised an exception.
        MedshotError: the tested code rejected its input, with its own message.
    """
    try:
        check(*given)
    except MedshotError:
        raise
    except Exception as error:
        stated = getattr(check, "func", check)  # of a partial
        promise = (stated.__doc__ or stated.__name__).strip().splitlines()[0]
        found = str(error) if isinstance(error, AssertionError) else repr(error)
        raise AssertionError(f"{who} breaks the promise: {promise} {found}") from error
