"""Run every benchmark, each in its own process, and write one table.

    python benchmarks/run.py [--threads 2] [--quick]

Prints the table with its conditions and writes benchmarks/results.json (not with --quick). These
are measurements, not tests: a target that is missed is printed as missed, and the exit code is 0.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import HEADER, Row, conditions, options

HERE = Path(__file__).parent
BENCHMARKS = ("sampler", "prototypical", "maml")


def main() -> None:
    found = options(__doc__, rounds=0)
    arguments = ["--threads", str(found.threads), *(["--quick"] if found.quick else [])]
    results = {"conditions": conditions(found.threads)}
    results |= {name: _run(name, arguments) for name in BENCHMARKS}
    _print(results)
    if not found.quick:
        text = json.dumps(results, indent=1)
        (HERE / "results.json").write_text(text + "\n", encoding="utf-8")


def _run(name: str, arguments: list[str]) -> dict:
    print(f"{name} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        command = [sys.executable, str(HERE / f"{name}.py"), *arguments, "--out", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text(encoding="utf-8"))


def _print(results: dict) -> None:
    print("\n".join(f"{key}: {value}" for key, value in results["conditions"].items()))
    print(f"\n{HEADER}")
    for name in BENCHMARKS:
        for found in results[name]["rows"]:
            print(Row(**found).line())
    print()
    for name in BENCHMARKS:
        if results[name]["notes"]:
            print(results[name]["notes"])


if __name__ == "__main__":
    main()
