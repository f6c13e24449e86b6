"""The tables and pictures of the documentation, made from results; and new results kept.

    python experiments/tables.py [NAME ...] [--from runs/NAME] [--to docs]

Without names, all of `TABLES` are made again from the results that are kept in <to>/results/. With
--from, what the experiment of that name wrote there is kept first; of the Omniglot ones, --from is
the folder of all runs.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import around
import compressing
import detection
import enhancement
import finetuning
import fusing
import hardening
import intervals
import masks_judged
import masks_prior
import medical_tables
import omniglot
import pretraining
import segmentation
import selecting
import stacked_probe
import volumes
import weak_masks
from medshot.core.atomic import write_text
from medshot.core.errors import MedshotError
from medshot.evaluation.protocols import VARIABLE, protocols
from results import DOCS, ahead, arguments, fill, markdown, plus_minus, read_csv

BENCHMARKS = Path(__file__).parents[1] / "benchmarks" / "results.json"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TABLES))
    parser.add_argument("--from", dest="source", type=Path, help="what the experiment wrote")
    parser.add_argument("--to", type=Path, default=DOCS)
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in TABLES]:
        parser.error(f"no table is called {', '.join(unknown)}; there are {', '.join(TABLES)}")
    if options.source and len(options.names) != 1:
        parser.error("--from needs the name of one table")
    failed = False
    for name in options.names or TABLES:
        if name == "hashes" and not (options.names or os.environ.get(VARIABLE)):
            continue  # they need the data
        try:
            TABLES[name].make(options.source, options.to)
        except (MedshotError, OSError, ValueError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
    sys.exit(failed)


def copied(source: Path, kept: Path) -> None:
    """Keep the one file that most experiments write."""
    write_text(kept, (source / "result.json").read_text())


def read_json(kept: Path) -> Any:
    """The one file that most experiments write."""
    return json.loads(kept.read_text())


@dataclass(frozen=True)
class Table:
    """Where a result is kept, which block of which page shows it, and what makes the block."""

    kept: str  # below docs/results
    page: str  # below docs
    block: str
    render: Callable[[Any], str]
    read: Callable[[Path], Any] = read_json
    gather: Callable[[Path, Path], None] = copied  # from what a run wrote to what is kept
    draw: Callable[[Any, Path], None] | None = None  # pictures, into docs

    def make(self, source: Path | None, docs: Path) -> None:
        """Fill the block, and draw, from what is kept; from `source` first, where there is one."""
        kept = docs / "results" / self.kept
        if source:
            self.gather(source, kept)
        found = self.read(kept)
        if self.draw:
            self.draw(found, docs)
        fill(docs / self.page, self.block, self.render(found))


def gather_omniglot(source: Path, kept: Path) -> None:
    """Keep the results of all learners, 5-way and 20-way."""
    for name in ("result.json", "20w1s.json"):
        for file in source.glob(f"omniglot_*/{name}"):
            text = json.dumps(json.loads(file.read_text()), indent=1) + "\n"
            write_text(kept / file.parent.name / name, text)


def read_omniglot(kept: Path, name: str = "result.json") -> dict[str, Any]:
    """The results by learner."""
    files = sorted(kept.glob(f"omniglot_*/{name}"))
    return {omniglot.learner_of(f.parent.name): json.loads(f.read_text()) for f in files}


def read_all(kept: Path) -> tuple[Any, ...]:
    """What docs/choose-a-learner.md joins: the medical sets, Omniglot, the benchmarks."""
    medical = medical_tables.read(kept / "medical.csv")
    return medical, read_omniglot(kept), read_json(BENCHMARKS)


def refuse(source: Path, kept: Path) -> None:
    """Where the table has no experiment of its own, or the experiment keeps its result itself."""
    raise ValueError(f"{kept} is not taken from {source}: see the experiment")


def omniglot_table(found: dict[str, Any]) -> str:
    """One row a learner: published, ours, against the probe, budget, protocol."""
    rows = []
    for learner, row in found.items():
        minus = row.get("minus_probe")
        asked = f"{row['protocol']}, {row['episodes']['count']} episodes"
        cells = [f"`omniglot.py --only {learner}`", asked, _published(row), _ours(row)]
        cells += [ahead(minus, 2) if minus else ""]
        cells += [f"{row['cpu_minutes']} CPU minutes; {row['hardware']}"]
        rows.append([*cells, "yes" if row["transductive"] else "no", f"`{row['commit']}`"])
    head = ["experiment", "protocol", "published", "ours", "minus linear probe on its encoder"]
    return markdown([*head, "budget", "transductive", "commit"], rows)


def readme(found: dict[str, Any]) -> str:
    """One row a learner, best first: published, ours, minutes."""
    rows = []
    for learner, row in sorted(found.items(), key=_best_first):
        name = learner + (" (transductive)" if row["transductive"] else "")
        rows.append([name, _published(row), _ours(row), row["cpu_minutes"]])
    return markdown(["learner", "published", "ours", "CPU minutes"], rows)


def _ours(row: dict[str, Any]) -> str:
    return f"**{plus_minus(row['metrics']['accuracy'], digits=2)}**"


def _published(row: dict[str, Any]) -> str:
    if row["published"] is None:
        return "none"
    return f"{100 * row['published']:.1f}" + ("" if row.get("checked", True) else " (not checked)")


def _best_first(item: tuple[str, Any]) -> float:
    return -item[1]["metrics"]["accuracy"]["mean"]


def read_descending(kept: Path) -> dict[str, Any]:
    """The results of the learners that descend, best first."""
    rows = {n: row for n, row in read_omniglot(kept).items() if row["protocol"].startswith("finn")}
    return dict(sorted(((n, row) for n, row in rows.items() if row.get("curve")), key=_best_first))


def descend(found: dict[str, Any]) -> str:
    """Accuracy, minutes, and what the last quarter of the steps still brought.

    Validation is on classes that are neither trained nor tested on.
    """
    rows = []
    for name, row in found.items():
        steps, end = row["curve"][-1]
        before = next(loss for step, loss in row["curve"] if step >= 0.75 * steps)
        accuracy = f"{100 * row['metrics']['accuracy']['mean']:.2f}"
        fell = f"{100 * (1 - end / before):.0f} %"
        rows.append([name, accuracy, row["cpu_minutes"], steps, end, fell])
    head = ["learner", "accuracy", "CPU minutes", "steps", "validation loss at the end"]
    table = markdown([*head, "fell in the last quarter by"], rows)
    return f"{table}\n![validation loss](results/descend.png)\n"


def draw_descend(found: dict[str, Any], docs: Path) -> None:
    """Validation loss against CPU minutes, both in logarithms; the best learner named first."""
    figure = Figure(figsize=(7.5, 4.5))
    axis: Any = figure.subplots()
    for place, (name, row) in enumerate(found.items()):
        last = row["curve"][-1][0]
        minutes = [row["cpu_minutes"] * step / last for step, _ in row["curve"]]
        style = ("-", "--", ":")[place // 6 % 3]
        label = f"{name}: {100 * row['metrics']['accuracy']['mean']:.1f} %"
        axis.plot(minutes, [loss for _, loss in row["curve"]], style, lw=1.4, label=label)
    axis.set(xscale="log", yscale="log", xlabel="CPU minutes", ylabel="validation loss")
    axis.set_xticks([1, 2, 5, 10, 20, 50], [1, 2, 5, 10, 20, 50])
    axis.set_yticks([0.1, 0.2, 0.5, 1.0], [0.1, 0.2, 0.5, 1.0])
    axis.minorticks_off()
    axis.grid(visible=True, alpha=0.2)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(docs / "results" / "descend.png", dpi=130, bbox_inches="tight")


def hashes(_: Path) -> str:
    """The hash of each protocol's list of test episodes."""
    rows = []
    for name, rules in sorted(protocols().items()):
        found = rules.sampler(rules.dataset()).fingerprint(rules.episodes)
        rows.append([f"`{name}`", f"`{found}`"])
    return markdown(["protocol", "hash of its episodes"], rows)


def bench(found: dict[str, Any]) -> str:
    """One row a comparison, each benchmark under the conditions of its run."""
    lines = []
    for name, part in found.items():
        conditions = "; ".join(f"{key}: {value}" for key, value in part["conditions"].items())
        head = ["what", "ratio [quartiles over rounds]", "target", "agreement"]
        lines += [f"### {name}", "", conditions, "", markdown(head, map(_bench_row, part["rows"]))]
        lines += ["```", part["notes"], "```", ""] if part["notes"] else []
    return "\n".join(lines)


def _bench_row(row: dict[str, Any]) -> list[str]:
    wanted = row["target"]
    verdict = "" if wanted is None else ": met" if row["ratio"] >= wanted else ": **missed**"
    target = "" if wanted is None else f"{wanted:g}x{verdict}"
    ratio = f"{row['ratio']:.2f}x [{row['low']:.2f}, {row['high']:.2f}]"
    return [row["name"], ratio, target, row["agreement"]]


RESULTS, STAGES = "results.md", "stages"
OMNIGLOT: dict[str, Any] = {"read": read_omniglot, "gather": gather_omniglot}
TABLES = {
    "omniglot": Table("", RESULTS, "omniglot", omniglot_table, **OMNIGLOT),
    "readme": Table("", "../README.md", "results", readme, **OMNIGLOT),
    "descend": Table(
        "", RESULTS, "descend", descend, read_descending, gather_omniglot, draw_descend
    ),
    "twenty": Table(
        "",
        RESULTS,
        "twenty",
        omniglot.table_of_twenty,
        partial(read_omniglot, name="20w1s.json"),
        gather_omniglot,
    ),
    "stacked": Table(
        "stacked/result.json",
        RESULTS,
        "stacked",
        stacked_probe.table,
        gather=stacked_probe.gather,
        draw=stacked_probe.draw,
    ),
    "medical": Table(
        "medical.csv",
        RESULTS,
        "medical",
        medical_tables.table,
        medical_tables.read,
        medical_tables.gather,
        medical_tables.draw,
    ),
    "choose": Table(
        "",
        "choose-a-learner.md",
        "choose",
        lambda found: medical_tables.side_by_side(*found),
        read_all,
        refuse,
    ),
    "segmentation": Table(
        "segmentation.csv",
        RESULTS,
        "segmentation",
        segmentation.table,
        read_csv,
        segmentation.gather,
    ),
    "masks_prior": Table(
        "masks_prior.jsonl",
        RESULTS,
        "masks-prior",
        masks_prior.table,
        masks_prior.read_rows,
        masks_prior.gather,
    ),
    "weak_masks": Table("weak_masks.json", RESULTS, "weak-masks", weak_masks.table),
    "stacked_masks": Table(
        "stacked_masks.jsonl",
        RESULTS,
        "stacked-masks",
        masks_judged.table,
        masks_judged.read_rows,
        masks_judged.gather,
    ),
    "volumes": Table(
        "volumes.jsonl",
        RESULTS,
        "volumes",
        volumes.table,
        masks_judged.read_rows,
        volumes.gather,
    ),
    "transfer": Table("transfer.json", RESULTS, "transfer", segmentation.table_of_labels),
    "around": Table("around/result.json", RESULTS, "around", around.table),
    "detection": Table("detection.json", RESULTS, "detection", detection.table, gather=refuse),
    "enhancement": Table("enhancement/result.json", RESULTS, "enhancement", enhancement.table),
    "bench": Table("", RESULTS, "bench", bench, lambda _: read_json(BENCHMARKS), refuse),
    "hashes": Table("", "protocols.md", "hashes", hashes, lambda kept: kept, refuse),
    "intervals": Table(
        "intervals/result.jsonl",
        "intervals.md",
        "coverage",
        intervals.table,
        intervals.read,
        intervals.gather,
    ),
    "pretraining": Table(
        "pretraining.json",
        f"{STAGES}/pretrain.md",
        "pretraining",
        pretraining.table,
        gather=pretraining.gather,
    ),
    "published": Table(
        "published/result.json",
        f"{STAGES}/pretrain.md",
        "published",
        pretraining.table_of_published,
    ),
    "adapters": Table(
        "adapters/result.json", f"{STAGES}/finetune.md", "adapters", finetuning.table_of_auto
    ),
    "finetuning": Table(
        "finetuning/result.json", f"{STAGES}/finetune.md", "finetuning", finetuning.table
    ),
    "compressing": Table(
        "compressing/result.json", f"{STAGES}/compress.md", "compressing", compressing.table
    ),
    "quantizing": Table(
        "quantizing/result.json", f"{STAGES}/export.md", "quantizing", compressing.table_of_int8
    ),
    "hardening": Table(
        "hardening/result.json",
        f"{STAGES}/harden.md",
        "hardening",
        hardening.table,
        draw=hardening.draw,
    ),
    "fusing": Table("fusing/result.json", f"{STAGES}/fuse.md", "fusing", fusing.table),
    "selecting": Table("selecting/result.json", f"{STAGES}/select.md", "select", selecting.table),
}


if __name__ == "__main__":
    main()
