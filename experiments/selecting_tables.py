"""The result of experiments/selecting.py as a table in docs/stages/select.md, and kept beside it.

    python experiments/selecting_tables.py [--from runs/selecting] [--to docs]

Without --from, the table is made again from the result that is kept.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from medshot.evaluation.statistics import mean_interval
from pages import fill, kept_result, made_on
from selecting import ALL, AUTO, SHOTS, won

AUTOS = list(range(1, 1 + len(AUTO)))
Episode = dict[str, Any]
Way = Callable[[Episode, list[int]], float]  # with the portfolio: the score of what is chosen


def main() -> None:
    found, docs = kept_result(__doc__, "selecting")
    said = f"{_luck(found['rows'])} {made_on(found)}"
    fill(docs / "stages" / "select.md", "select", f"{_table(found['rows'])}\n{said}\n")


def best(episode: Episode, among: list[int]) -> float:
    """What the best by the folds of the support does, of equals the first."""
    return episode["query"][_best(episode, among)]


def sure(episode: Episode, among: list[int]) -> float:
    """The same if its interval is above the baseline's, else the baseline."""
    winner = _best(episode, among)
    return episode["query"][winner if episode["better"][winner] else 0]


def _best(episode: Episode, among: list[int]) -> int:
    return max(among, key=lambda i: (episode["support"][i], -among.index(i)))


WAYS: dict[str, Way] = {
    "always the baseline": lambda e, p: e["query"][0],
    "the first of the portfolio, nothing tried": lambda e, p: e["query"][p[0]],
    "`auto`: its six candidates": lambda e, p: best(e, AUTOS),
    "the baseline and a portfolio of 2": lambda e, p: best(e, [0, *p[:2]]),
    "the baseline and a portfolio of 4": lambda e, p: best(e, [0, *p[:4]]),
    "the baseline and a portfolio of 8": lambda e, p: best(e, [0, *p[:8]]),
    "the same, but only if surely better": lambda e, p: sure(e, [0, *p[:8]]),
    "everything": lambda e, p: best(e, list(range(len(ALL)))),
    "a search of 20 trials, the portfolio first": lambda e, p: e["searched"],
    "a search of 20 trials, no portfolio": lambda e, p: e["searched blindly"],
    "the best in hindsight, by episode": lambda e, p: max(e["query"]),
}


def _table(rows: list[dict[str, Any]]) -> str:
    """Mean balanced accuracy of what was chosen, and the paired difference to the baseline."""
    heads = ["way to choose", *(f"{shot} images a class" for shot in SHOTS)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, way in WAYS.items():
        cells = [_cell(_pairs(rows, shot, way)) for shot in SHOTS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _pairs(rows: list[dict[str, Any]], shot: int, way: Way) -> np.ndarray:
    """What is chosen does, and what the baseline does, of each episode where it is known."""
    keys, pairs = [one.key for one in ALL], []
    for row in [row for row in rows if row["shot"] == shot]:
        portfolio = [keys.index(one.key) for one in won(row["set"], shot)]
        for episode in row["episodes"]:
            try:
                pairs.append((way(episode, portfolio), episode["query"][0]))
            except KeyError:  # a search runs on some of the episodes only
                continue
    return np.array(pairs)


def _cell(pairs: np.ndarray) -> str:
    minus, mean = mean_interval(100 * (pairs[:, 0] - pairs[:, 1])), 100 * pairs[:, 0].mean()
    said = f"{mean:.1f} ({minus.mean:+.1f} [{minus.low:+.1f}, {minus.high:+.1f}], n {len(pairs)})"
    return said if np.ptp(pairs[:, 0] - pairs[:, 1]) else f"{mean:.1f}"


def _luck(rows: list[dict[str, Any]]) -> str:
    """How far the winner's score among all is from what it does; and the corrected one."""
    said = []
    for shot in SHOTS:
        some = [e for row in rows if row["shot"] == shot for e in row["episodes"]]
        winners = [_best(e, list(range(len(ALL)))) for e in some]
        truth = np.array([e["query"][i] for e, i in zip(some, winners, strict=True)])
        score = np.array([e["support"][i] for e, i in zip(some, winners, strict=True)])
        fair = np.array([e["corrected"] for e in some], dtype=float)
        found = [mean_interval(100 * (each - truth)) for each in (score, fair)]
        texts = [f"{each.mean:+.1f} [{each.low:+.1f}, {each.high:+.1f}]" for each in found]
        said.append(f"{shot} images a class: {texts[0]}, corrected for the choice {texts[1]}")
    return (
        f"The score of the best of {len(ALL)} on its support minus what it does on the queries, "
        f"{'; '.join(said)}."
    )


if __name__ == "__main__":
    main()
