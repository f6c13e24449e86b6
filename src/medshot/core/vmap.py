"""Whether several tasks are being learned in one pass (`torch.func.vmap`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ON: ContextVar[bool] = ContextVar("vectorised", default=False)


def vectorised() -> bool:
    """Whether tensors stand for several tasks at once: gradients then go by `torch.func.grad`."""
    return _ON.get()


@contextmanager
def vectorising() -> Iterator[None]:
    """Within the block, `vectorised()` is true."""
    before = _ON.set(True)
    try:
        yield
    finally:
        _ON.reset(before)
