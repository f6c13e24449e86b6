"""How a broken promise is told: what was promised, by whom, and what was found."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from medshot.core.errors import MedshotError


def require(so: bool, otherwise: str) -> None:
    """Raise `AssertionError` with what is wrong, also where Python leaves `assert` out."""
    if not so:
        raise AssertionError(otherwise)


def require_close(found: Tensor, wanted: Tensor) -> None:
    """Raise `AssertionError` where two tensors differ by more than what rounding explains."""
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)


def run_check(check: Callable[..., None], *given: Any, who: str) -> None:
    """Run one check, whose docstring is the promise.

    Raises:
        AssertionError: the promise is broken, or what was checked failed on the way.
        MedshotError: what was checked refused what it was given, with its own message.
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
