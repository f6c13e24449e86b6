"""How every benchmark measures: a ratio within one run, its sides alternated.

Absolute times say more of the machine than of the code, so none is a result. In each round both
sides do the same work one after the other, the first to go changing from round to round; the
result is the median over rounds of peer / ours, and its spread the lower and upper quartile.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True)
class Row:
    """One comparison. `ratio` above 1: ours is faster."""

    name: str
    ours_ms: float
    peer_ms: float
    ratio: float
    low: float
    high: float
    target: float | None
    agreement: str  # what shows that both did the same

    def line(self) -> str:
        """The row of the table."""
        met = "" if self.target is None else "met" if self.ratio >= self.target else "MISSED"
        target = "" if self.target is None else f">= {self.target:g}x"
        spread = f"{self.ratio:6.2f}x  [{self.low:.2f}, {self.high:.2f}]"
        times = f"{self.ours_ms:10.2f} {self.peer_ms:10.2f}"
        return f"{self.name:44s} {times}  {spread:24s} {target:9s} {met:7s} {self.agreement}"


HEADER = f"{'':44s} {'ours, ms':>10s} {'peer, ms':>10s}   {'ratio [quartiles]':23s} target"


def options(doc: str | None, *, rounds: int, names: tuple[str, ...] = ()) -> argparse.Namespace:
    """The options that all benchmarks share; also sets the number of threads.

    With `names`, there is --only, which chooses among them.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2, help="torch threads, the same for both")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--quick", action="store_true", help="see that it runs; measures little")
    parser.add_argument("--out", type=Path, help="also write the rows there, as JSON")
    if names:
        parser.add_argument("--only", nargs="*", choices=names, default=list(names))
    found = parser.parse_args()
    found.rounds = 2 if found.quick else found.rounds
    torch.set_num_threads(found.threads)
    return found


def compare(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side in each round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(-1, rounds):
        for name in sorted(sides, reverse=i % 2 == 0):
            start = time.perf_counter()
            sides[name]()
            if i >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def row(
    name: str,
    ours: list[float],
    peer: list[float],
    *,
    agreement: str,
    target: float | None = None,
    per: int = 1,
) -> Row:
    """Two sides of `compare` as a row; `per` is how many things a round did."""
    ratios = [b / a for a, b in zip(ours, peer, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    ms = [1e3 / per * statistics.median(side) for side in (ours, peer)]
    return Row(name, *ms, statistics.median(ratios), low, high, target, agreement)


def difference(a: list[Tensor], b: list[Tensor]) -> float:
    """max |a - b| / max |b| over all entries of all tensors."""
    x, y = (torch.cat([t.detach().flatten().double() for t in side]) for side in (a, b))
    return float((x - y).abs().max() / y.abs().max())


def report(rows: list[Row], found: argparse.Namespace, notes: str = "") -> None:
    """Print the rows and, with --out, write them."""
    print("\n".join([HEADER, *(r.line() for r in rows), notes]).rstrip(), flush=True)
    if found.out:
        written = {"rows": [asdict(r) for r in rows], "notes": notes}
        found.out.write_text(json.dumps(written), encoding="utf-8")


def conditions(threads: int) -> dict[str, str | int]:
    """Processor, threads, versions and commit."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    here = Path(__file__).parent
    git = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    asked = subprocess.run(git, cwd=here, capture_output=True, text=True, check=False)
    packages = ("torch", "numpy", "medshot", "easyfsl", "higher", "torchopt")
    return {
        "hardware": f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores",
        "threads": threads,
        "python": platform.python_version(),
        "versions": ", ".join(f"{p} {version(p)}" for p in packages),
        "commit": asked.stdout.strip() or "unknown",
    }
