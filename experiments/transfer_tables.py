"""The table of what labels bring for masks.

    python experiments/transfer_tables.py [--from runs/transfer/result.json] [--to docs]

With --from, what experiments/transfer.py wrote becomes <to>/results/transfer.json, from which comes
the table in <to>/results.md.
"""

import json
from typing import Any

from medshot.core.atomic import write_text
from pages import fill, tables_options

SIDES = ("meta-trained on labels", "from scratch", "difference")


def main() -> None:
    options = tables_options(__doc__)
    file = options.to / "results" / "transfer.json"
    if options.source:
        write_text(file, options.source.read_text())
    found = json.loads(file.read_text())
    fill(options.to / "results.md", "transfer", _table(found))


def _table(found: dict[str, Any]) -> str:
    lines = [f"| set | images | how | {' | '.join(SIDES)} |", "|---|---|---|---|---|---|"]
    for row in found["rows"]:
        cells = [_cell(row[side], signed=side == "difference") for side in SIDES]
        lines.append(f"| {row['set']} | {row['shot']} | `{row['how']}` | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"{found['hardware']}, commit `{found['commit']}`", ""])


def _cell(value: dict[str, float], *, signed: bool) -> str:
    half = 100 * (value["high"] - value["low"]) / 2
    return f"{100 * value['mean']:{'+' if signed else ''}.1f} ± {half:.1f}"


if __name__ == "__main__":
    main()
