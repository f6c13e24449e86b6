"""How much of the machine's arithmetic a meta-training step uses, on a GPU when there is one.

The step: one episode of 20 classes, 5 support and 5 query images each, 28 pixels, Conv4-64, forward
and backward. Its multiplications and additions are counted (`torch.utils.flop_counter`); the peer
is a large matrix product repeated for as many, in the same number format, in the same round. The
ratio is the part of that product's speed which the step reaches.
"""

import functools
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

import medshot
from measure import compare, options, report, row
from medshot import Classification, Episode, Examples
from medshot.training.gradient import Gradient
from medshot.training.objective import MetaObjective

LEARNERS = ("prototypical", "ridge", "maml")
SIDE = 2048  # of the matrices


def main() -> None:
    found = options(__doc__, rounds=7)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = []
    for bf16 in (False, True):
        form = "bfloat16" if bf16 else "float32"
        product = _product(device, torch.bfloat16 if bf16 else torch.float32)
        for name in LEARNERS:
            step = _step(name, bf16, device)
            flops = _count(step)
            times = max(round(flops / (2 * SIDE**3)), 1)
            again = functools.partial(_several, product, times)
            seconds = compare({"step": step, "product": again}, found.rounds)
            peer = [s * flops / (times * 2 * SIDE**3) for s in seconds["product"]]
            about = f"{flops / 1e9:.1f} GFLOP a step"
            rows.append(row(f"{name}, {form}, {device}", seconds["step"], peer, agreement=about))
    report(rows, found, "ratio: the part of a matrix product's speed that a step reaches")


def _step(name: str, bf16: bool, device: str) -> Callable[[], None]:
    torch.manual_seed(0)
    options = {"way": 20} if name == "maml" else {}
    encoder = medshot.encoder("conv4", channels=1, size=28)
    learner = medshot.build(name, encoder=encoder, **options).train().to(device)
    gradient, episode = Gradient(MetaObjective(learner), bf16=bf16), _episode(device)
    return lambda: _waited(lambda: gradient.backward([episode], 1))


def _product(device: str, dtype: torch.dtype) -> Callable[[], object]:
    a, b = (torch.rand(SIDE, SIDE, device=device, dtype=dtype) for _ in range(2))
    return lambda: a @ b


def _several(work: Callable[[], object], times: int) -> None:
    _waited(lambda: [work() for _ in range(times)])


def _waited(work: Callable[[], object]) -> None:
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _count(step: Callable[[], None]) -> int:
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def _episode(device: str) -> Episode:
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(200, 1, 28, 28, generator=rng).to(device)
    y = torch.arange(20, device=device).repeat(10)
    halves = [Examples(x[i : i + 100], y[i : i + 100]) for i in (0, 100)]
    return Episode(Classification(20), *halves)


if __name__ == "__main__":
    main()
