"""Run every benchmark, each in its own process, and write one table.

    python benchmarks/run.py [--only inner maml] [--threads 2] [--quick]

Prints the table with its conditions and writes benchmarks/results.json (not with --quick); with
--only, the others stay in it as they were. These are measurements, not tests: a target that is
missed is printed as missed, and the exit code is 0.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import HEADER, Row, conditions, options

HERE = Path(__file__).parent
BENCHMARKS = (
    *("sampler", "prototypical", "maml", "inner", "adapting", "arithmetic"),
    *("phantoms", "slide", "segmenting", "exporting", "default"),
)


def main() -> None:
    found = options(__doc__, rounds=0, names=BENCHMARKS)
    arguments = ["--threads", str(found.threads), *(["--quick"] if found.quick else [])]
    measured = {name: _run(name, arguments) for name in found.only}
    for part in measured.values():
        part["conditions"] = conditions(found.threads)
    _print(measured)
    if not found.quick:
        file = HERE / "results.json"
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        file.write_text(json.dumps(before | measured, indent=1) + "\n", encoding="utf-8")


def _run(name: str, arguments: list[str]) -> dict:
    print(f"{name} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        command = [sys.executable, str(HERE / f"{name}.py"), *arguments, "--out", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text(encoding="utf-8"))


def _print(results: dict) -> None:
    for name, part in results.items():
        print(f"{name}: {'; '.join(f'{k}: {v}' for k, v in part['conditions'].items())}")
        print("\n".join([HEADER, *(Row(**row).line() for row in part["rows"])]))
        print(f"{part['notes']}\n")


if __name__ == "__main__":
    main()
