"""The result of experiments/hardening.py as tables and a plot in docs/stages/harden.md.

    python experiments/hardening_tables.py [--from runs/hardening] [--to docs]

Without --from, they are made again from the result that is kept.
"""

from typing import Any

from medshot.core.atomic import write_text
from medshot.evaluation.statistics import Interval
from medshot.stages.robustness.curve import Point, curve
from pages import fill, kept_result, made_on

METRIC = "balanced accuracy"
FAMILIES = ("digital", "noise", "blur", "light", "modality")


def main() -> None:
    found, docs = kept_result(__doc__, "hardening")
    page, about = docs / "stages" / "harden.md", made_on(found)
    querying = found["parts"].pop("querying", None)
    tables = [table(found["parts"]), corrupted(found["parts"])]
    if querying:
        tables.append(queried(querying))
    for name, part in found["parts"].items():
        lines = {label: points(row) for label, row in part["models"].items()}
        write_text(page.with_name(f"harden_{name}.svg"), curve(lines, METRIC, f"{name}, PGD-10"))
        tables.append(f"![{name}: {METRIC} by epsilon](harden_{name}.svg)\n")
    fill(page, "hardening", "\n".join([*tables, about]) + "\n")


def table(parts: dict[str, Any]) -> str:
    """Clean, PGD at each epsilon, and the checks at the largest: a row a model."""
    head = ["set", "model", "clean", "change", "PGD-10: 1/255", "2/255", "4/255", "8/255"]
    head += ["8/255: FGSM", "PGD-40", "square-100", "signs of masking"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, part in parts.items():
        for label, row in part["models"].items():
            checks = row["checked"]["attacked"]
            shown = [score for _, _, score in points(row)[1:]]
            shown += [Interval(**checks[i][METRIC]) for i in (0, 2, 3)]
            change = percent(Interval(**row["clean, minus first"])) if label != "as adapted" else ""
            cells = [f"`{name}`", label, percent(points(row)[0][2]), change]
            cells += [*map(percent, shown), str(len(row["signs"]) or "none")]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def corrupted(parts: dict[str, Any]) -> str:
    """Severity 3: a row a model, a family a column."""
    head = ["set", "model", *FAMILIES]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, part in parts.items():
        for label, row in part["models"].items():
            cells = [percent(Interval(**row["corruptions"][family])) for family in FAMILIES]
            lines.append(f"| {' | '.join([f'`{name}`', label, *cells])} |")
    return "\n".join(lines) + "\n"


def queried(part: dict[str, Any]) -> str:
    """Accuracy of meta-trained prototypes under PGD: a row a way of training."""
    levels = list(next(iter(part["learners"].values())))
    head = [f"meta-trained, judged on `{part['judged on']}`", "clean"]
    head += [f"PGD-10: {level}/255" for level in levels[1:]]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for label, row in part["learners"].items():
        cells = [percent(Interval(**row[level])) for level in levels]
        lines.append(f"| {' | '.join([label, *cells])} |")
    return "\n".join(lines) + "\n"


def points(row: dict[str, Any]) -> list[Point]:
    """Clean, and PGD with the usual steps at each epsilon."""
    usual = [*row["robustness"]["attacked"], row["checked"]["attacked"][1]]
    found: list[Point] = [("0", 0.0, Interval(**row["robustness"]["clean"][METRIC]))]
    for attacked in usual:
        said = attacked["epsilon"]
        found.append((said, int(said.partition("/")[0]) / 255, Interval(**attacked[METRIC])))
    return found


def percent(found: Interval) -> str:
    return f"{100 * found.mean:.0f} [{100 * found.low:.0f}, {100 * found.high:.0f}]"


if __name__ == "__main__":
    main()
