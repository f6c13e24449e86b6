"""The result of experiments/selecting.py: tables for docs/stages/select.md, and the stored table.

    python experiments/selecting_tables.py [--from runs/selecting] [--to docs]

Without --from, all is made again from the result that is kept. The table of what won where goes to
src/medshot/select/portfolio.json, with the command and the commit that it was measured at.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from medshot.core.files import write_text
from medshot.evaluation.statistics import mean_interval
from medshot.select.portfolio import STORED, Table, table_of
from pages import fill
from selecting import ALL, FAMILIES, SHOTS, as_table

ROOT = Path(__file__).parents[1]
AUTO = [
    i
    for i, one in enumerate(ALL)
    if any(family.simple and family.holds(one) for family in FAMILIES) and 0 < i < 12
]
Way = Callable[[dict[str, Any], list[int]], int]  # episode, portfolio of the other sets: which one


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="source", type=Path, help="folder of the run")
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    kept = options.to / "results" / "selecting" / "result.json"
    if options.source:
        write_text(kept, (options.source / "result.json").read_text())
    found = json.loads(kept.read_text())
    rows = found["rows"]
    about = {key: found[key] for key in ("hardware", "commit")}
    command = "python experiments/selecting.py --out runs/selecting"
    stored = {"command": command, **about, "kinds": {"classification": as_table(rows)}}
    write_text(STORED, json.dumps(stored, indent=1) + "\n")
    said = f"{found['hardware']}; commit `{found['commit']}`."
    fill(options.to / "stages" / "select.md", "select", f"{_table(found)}\n{_luck(rows)} {said}\n")


def best(episode: dict[str, Any], among: list[int]) -> int:
    """The best by the folds of the support, of equals the first."""
    return max(among, key=lambda i: (episode["support"][i], -among.index(i)))


def sure(episode: dict[str, Any], among: list[int]) -> int:
    """The best if its interval is above the baseline's, else the baseline."""
    winner = best(episode, among)
    return winner if episode["better"][winner] else 0


WAYS: dict[str, Way] = {
    "always the baseline": lambda e, won: 0,
    "the first of the portfolio, nothing tried": lambda e, won: won[0],
    "`auto`: its six candidates": lambda e, won: best(e, AUTO),
    "baseline + portfolio of 2": lambda e, won: best(e, [0, *won[:2]]),
    "baseline + portfolio of 4": lambda e, won: best(e, [0, *won[:4]]),
    "baseline + portfolio of 8": lambda e, won: best(e, [0, *won[:8]]),
    "the same, the baseline unless surely worse": lambda e, won: sure(e, [0, *won[:8]]),
    "all 16": lambda e, won: best(e, list(range(len(ALL)))),
    "the best of 16 in hindsight, by episode": lambda e, won: int(np.argmax(e["query"])),
}


def _table(found: dict[str, Any]) -> str:
    """Mean balanced accuracy of what was chosen, and the paired difference to the baseline."""
    rows = found["rows"]
    heads = ["way to choose", *(f"{shot} images a class" for shot in SHOTS)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, way in WAYS.items():
        cells = []
        for shot in SHOTS:
            pairs = [
                (e["query"][way(e, _won(rows, row["set"], shot))], e["query"][0])
                for row in rows
                if row["shot"] == shot
                for e in row["episodes"]
            ]
            cells.append(_cell(np.array(pairs)))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, *_searched(found)]) + "\n"


def _won(rows: list[dict[str, Any]], left_out: str, shot: int) -> list[int]:
    """The portfolio of the other sets, as positions."""
    table: Table = table_of(as_table(rows))
    keys = [one.key for one in ALL]
    return [keys.index(c.key) for c in table.portfolio(len(ALL), shot, without=[left_out])]


def _searched(found: dict[str, Any]) -> list[str]:
    """The search itself, on the first episodes of each set."""
    lines = []
    for way in ("portfolio", "no portfolio"):
        cells = []
        for shot in SHOTS:
            pairs = []
            for row in found["searched"]:
                if row["shot"] == shot:
                    tabled = next(r for r in found["rows"] if _same(r, row))["episodes"]
                    both = zip(row["episodes"], tabled, strict=False)
                    pairs += [(one[way], other["query"][0]) for one, other in both]
            cells.append(_cell(np.array(pairs)))
        lines.append(f"| search, 20 trials, {way} (fewer episodes) | {' | '.join(cells)} |")
    return lines


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (one["set"], one["shot"]) == (other["set"], other["shot"])


def _cell(pairs: np.ndarray) -> str:
    minus = mean_interval(100 * (pairs[:, 0] - pairs[:, 1]))
    mean = 100 * pairs[:, 0].mean()
    if not np.ptp(pairs[:, 0] - pairs[:, 1]):
        return f"{mean:.1f}"
    return f"{mean:.1f} ({minus.mean:+.1f} [{minus.low:+.1f}, {minus.high:+.1f}])"


def _luck(rows: list[dict[str, Any]]) -> str:
    """How far the winner's score among all 16 is from what it does; so the corrected one."""
    said = []
    for shot in SHOTS:
        some = [e for row in rows if row["shot"] == shot for e in row["episodes"]]
        won = [best(e, list(range(len(ALL)))) for e in some]
        truth = np.array([e["query"][i] for e, i in zip(some, won, strict=True)])
        naive = np.array([e["support"][i] for e, i in zip(some, won, strict=True)]) - truth
        fair = np.array([e["corrected"] for e in some], dtype=float) - truth
        found = [mean_interval(100 * each) for each in (naive, fair)]
        texts = [f"{each.mean:+.1f} [{each.low:+.1f}, {each.high:+.1f}]" for each in found]
        said.append(f"{shot} images a class: {texts[0]}, corrected {texts[1]}")
    return f"The score of the best of 16 minus what it does on the queries, {'; '.join(said)}."


if __name__ == "__main__":
    main()
