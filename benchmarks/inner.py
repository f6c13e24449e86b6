"""What an inner step costs: memory and time of exact MAML with its steps recorded or taken again,
and first order, exact and implicit side by side. On a GPU also all tasks in one pass.

5-way 5-shot, 64 pixels, Conv4-64 with group norm, one query an image, made-up images: neither time
nor memory depends on what is in them. Memory is what a process of its own needs at its peak beyond
what it has before the first step. A ratio of times above 1: the first named is faster.
"""

import copy
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor

import medshot
from measure import Row, compare, difference, options, report, row
from medshot import Classification, Episode, Examples
from medshot.core.learner import Learner
from medshot.training.gradient import Gradient
from medshot.training.objective import MetaObjective

STEPS = (5, 10, 20)
KINDS = {
    "recorded": ("maml", {}),
    "taken again": ("maml", {"remat": True}),
    "first order": ("fomaml", {}),
    "implicit": ("imaml", {"pull": 2.0}),
}
LR = 0.001  # small: a first-order gradient then points where the exact one does
SLOWER = 1.6  # what taking steps again may cost
FLAT = 1.3  # memory of 20 steps over that of 5
VECTORISED = 8.0


def main() -> None:
    if sys.argv[1:2] == ["--memory"]:
        print(_own_memory(sys.argv[2], int(sys.argv[3])))
        return
    found = options(__doc__, rounds=7)
    steps = STEPS[:1] if found.quick else STEPS
    rows = [_again(n, found.rounds) for n in steps]
    rows += [_against_exact(kind, found.rounds) for kind in ("first order", "implicit")]
    if torch.cuda.is_available():
        rows.append(_one_pass(found.rounds))
    report(rows, found, _memory_table(steps))


def _again(steps: int, rounds: int) -> Row:
    name = f"exact MAML, {steps} steps: taken again vs recorded"
    return _pair(name, "taken again", "recorded", steps, rounds, target=1 / SLOWER)


def _against_exact(kind: str, rounds: int) -> Row:
    return _pair(f"5 steps: {kind} vs exact", kind, "recorded", 5, rounds)


def _pair(
    name: str, ours: str, peer: str, steps: int, rounds: int, target: float | None = None
) -> Row:
    sides = {kind: _gradient(kind, steps) for kind in (ours, peer)}
    episode = _episode(0)
    seconds = compare({k: lambda g=g: g.backward([episode], 1) for k, g in sides.items()}, rounds)
    return row(name, seconds[ours], seconds[peer], target=target, agreement=_agreement(sides))


def _agreement(sides: dict[str, Gradient]) -> str:
    """How far the two gradients differ in float64, and the cosine between them."""
    found: list[list[Tensor]] = []
    for side in sides.values():
        doubled = Gradient(copy.deepcopy(side.objective).double())
        doubled.backward([_episode(0, torch.float64)], 1)
        found.append([p.grad for p in doubled.objective.parameters() if p.grad is not None])
    a, b = (torch.cat([g.flatten() for g in grads]) for grads in found)
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=0)
    return f"float64: differ by {difference(*found):.0e}, cosine {cosine:.3f}"


def _one_pass(rounds: int) -> Row:
    """32 tasks of 5-way 1-shot on a GPU: `torch.func.vmap` against the loop."""
    episodes = [_episode(i, device="cuda", shot=1, size=28) for i in range(32)]
    objective = MetaObjective(_learner("recorded", 1, size=28).cuda())
    sides = {f"{v}": Gradient(objective, one_pass=v) for v in (True, False)}

    def run(gradient: Gradient) -> None:
        gradient.backward(episodes, len(episodes))
        torch.cuda.synchronize()

    seconds = compare({k: lambda g=g: run(g) for k, g in sides.items()}, rounds)
    name = "32 tasks in one pass vs the loop (GPU)"
    return row(name, seconds["True"], seconds["False"], target=VECTORISED, agreement="see tests")


def _gradient(kind: str, steps: int) -> Gradient:
    return Gradient(MetaObjective(_learner(kind, steps)))


def _learner(kind: str, steps: int, size: int = 64) -> Learner:
    torch.manual_seed(0)
    name, extra = KINDS[kind]
    encoder = medshot.encoder("conv4", channels=1, size=size)
    return medshot.build(name, encoder=encoder, way=5, lr=LR, steps=steps, **extra).train()


def _episode(
    i: int,
    dtype: torch.dtype = torch.float32,
    *,
    device: str = "cpu",
    shot: int = 5,
    size: int = 64,
) -> Episode:
    rng = torch.Generator().manual_seed(i)
    x = torch.rand(10 * shot, 1, size, size, generator=rng).to(device, dtype)
    y = torch.arange(5, device=device).repeat(2 * shot)
    half = 5 * shot
    return Episode(Classification(5), Examples(x[:half], y[:half]), Examples(x[half:], y[half:]))


def _memory_table(steps: tuple[int, ...]) -> str:
    found = {kind: [_memory(kind, n) for n in steps] for kind in KINDS}
    lines = [f"memory at the peak, MiB, at {', '.join(map(str, steps))} inner steps:"]
    for kind, peaks in found.items():
        ratio = peaks[-1] / peaks[0]
        verdict = f" (target {FLAT}: {'met' if ratio <= FLAT else 'MISSED'})"
        shown = ", ".join(f"{peak:.0f}" for peak in peaks)
        lines.append(
            f"  {kind:12s} {shown}; last over first {ratio:.2f}"
            + (verdict if kind == "taken again" and len(steps) > 1 else "")
        )
    return "\n".join(lines)


def _memory(kind: str, steps: int) -> float:
    command = [sys.executable, __file__, "--memory", kind, str(steps)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _own_memory(kind: str, steps: int) -> float:
    """MiB at the peak of one gradient, beyond what the process had before."""
    torch.set_num_threads(1)
    gradient, episode = _gradient(kind, steps), _episode(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: it came from the parent
    before = _peak()
    gradient.backward([episode], 1)
    return (_peak() - before) / 1024


def _peak() -> int:
    """KiB, Linux only."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
