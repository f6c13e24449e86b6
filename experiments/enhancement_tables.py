"""The result of experiments/enhancement.py as a table in docs/results.md, and kept beside it.

    python experiments/enhancement_tables.py [--from runs/enhancement] [--to docs]

Without --from, the table is made again from the result that is kept.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from medshot.core.files import write_text
from pages import fill

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="source", type=Path, help="folder of the run")
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    kept = options.to / "results" / "enhancement" / "result.json"
    if options.source:
        write_text(kept, (options.source / "result.json").read_text())
    found = json.loads(kept.read_text())
    steps = ", ".join(f"{name} {n}" for name, n in found["steps"].items())
    about = (
        f"Meta-training: {found['seconds']} CPU seconds each (steps: {steps}). "
        f"{found['hardware']}; commit `{found['commit']}`."
    )
    fill(options.to / "results.md", "enhancement", f"{table(found['rows'])}\n{about}\n")


def table(rows: list[dict[str, Any]]) -> str:
    """PSNR and SSIM of doing nothing, gains and SSIM of the others: a row a set, family, shot."""
    first, *others = rows[0]["methods"]
    head = ["set", "what is wrong (simulated)", "pairs", first, *others]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        found = row["methods"]
        psnr, ssim = (found[first][m]["mean"] for m in ("PSNR (dB)", "SSIM"))
        cells = [f"`{row['set']}`", row["family"], str(row["shot"]), f"{psnr:.1f} / {ssim:.2f}"]
        lines.append(f"| {' | '.join([*cells, *(_gain(found[n]) for n in others)])} |")
    return "\n".join(lines) + "\n"


def _gain(found: dict[str, Any]) -> str:
    gain, ssim = found["minus identity"], found["SSIM"]["mean"]
    return f"{gain['mean']:+.1f} [{gain['low']:+.1f}, {gain['high']:+.1f}] / {ssim:.2f}"


if __name__ == "__main__":
    main()
