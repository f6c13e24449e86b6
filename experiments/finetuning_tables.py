"""The result of experiments/finetuning.py as tables in docs/stages/finetune.md, kept beside it.

    python experiments/finetuning_tables.py [--from runs/finetuning] [--to docs]

Without --from, the tables are made again from the result that is kept.
"""

from typing import Any

from pages import fill, kept_result, made_on

METRIC = "balanced accuracy"


def main() -> None:
    found, docs = kept_result(__doc__, "finetuning")
    about = f"{found['episodes']} episodes a cell, at most {found['steps']} steps. {made_on(found)}"
    rows = found["rows"]
    text = f"{accuracy(rows)}\n{cost(rows, found['peaks'])}\n{about}\n"
    fill(docs / "stages" / "finetune.md", "finetuning", text)


def accuracy(rows: list[dict[str, Any]]) -> str:
    """Balanced accuracy of no fine-tuning, and what each way adds to it."""
    ways = list(dict.fromkeys(row["what"] for row in by_parameters(rows)))
    lines = [f"| set | shots | {' | '.join(ways)} |", "|---" * (len(ways) + 2) + "|"]
    for name, shot in sorted({(row["set"], row["shot"]) for row in rows}):
        cells = {r["what"]: _cell(r) for r in rows if (r["set"], r["shot"]) == (name, shot)}
        shown = " | ".join(cells.get(way, "") for way in ways)
        lines.append(f"| `{name}` | {shot} | {shown} |")
    return "\n".join(lines) + "\n"


def cost(rows: list[dict[str, Any]], peaks: dict[str, dict[str, float]]) -> str:
    """Parameters, seconds (means over sets) and memory of each way, at each number of shots."""
    shots = sorted({row["shot"] for row in rows})
    head = [f"{what}, {shot} shots" for what in ("CPU seconds", "MB more") for shot in shots]
    lines = [f"| way | numbers that move | {' | '.join(head)} |", "|---" * (len(head) + 2) + "|"]
    for way in dict.fromkeys(row["what"] for row in by_parameters(rows)):
        mine = [row for row in rows if row["what"] == way]
        moving = sorted({row["parameters"] for row in mine})
        counts = " to ".join(str(n) for n in dict.fromkeys((moving[0], moving[-1])))
        spent = [[row["seconds"] for row in mine if row["shot"] == shot] for shot in shots]
        cells = [f"{sum(each) / len(each):.1f}" for each in spent]
        cells += [f"{peaks[way][str(s)] - peaks['none'][str(s)]:.0f}" for s in shots]
        lines.append(f"| {way} | {counts} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def by_parameters(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, those that move least first."""
    return sorted(rows, key=lambda row: row["parameters"])


def _cell(row: dict[str, Any]) -> str:
    alone = row["what"] == "none"
    found = row["metrics"][METRIC] if alone else row["minus none"]
    half = 50 * (found["high"] - found["low"])
    return f"{100 * found['mean']:{'' if alone else '+'}.1f} ± {half:.1f}"


if __name__ == "__main__":
    main()
