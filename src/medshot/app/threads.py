"""How many threads of the processor an operation is worth."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def limited(threads: int = 1) -> Iterator[None]:
    """Within the block, so many threads an operation: 1, if not told.

    Tensors of a few small images are small: threads that share one operation wait for each other
    longer than they work. On two cores that others used too, two threads took 1.2 to 8 times the
    processor's time of one, and were slower in each of eight networks, a ResNet-50 among them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
