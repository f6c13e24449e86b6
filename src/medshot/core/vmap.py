"""Flag: whether several tasks are processed at once by `torch.func.vmap`."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ON: ContextVar[bool] = ContextVar("vectorised", default=False)


def vectorised() -> bool:
    """Whether tensors are batched over tasks: use `torch.func.grad` for gradients."""
    return _ON.get()


@contextmanager
def vectorising() -> Iterator[None]:
    """Context in which `vectorised()` is true."""
    before = _ON.set(True)
    try:
        yield
    finally:
        _ON.reset(before)
