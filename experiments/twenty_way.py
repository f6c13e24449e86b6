"""Omniglot, 20-way 1-shot: the same weights as in the 5-way table, asked to tell 20 classes apart.

    python experiments/twenty_way.py --from runs [--to docs] [--threads 1]

Protocol `snell17/omniglot/20w1s`, 1000 episodes, for each finished <from>/omniglot_*/run that was
meta-trained for it: 20 classes an episode or more, encoder untouched by adapting. Snell et al. 2017
use one training for 5-way and 20-way too. Writes <to>/results/omniglot_*/20w1s.json and the table
in <to>/results.md; what is written is skipped.
"""

import json
from pathlib import Path
from typing import Any

import torch

import medshot
from medshot.core.atomic import write_text
from medshot.core.errors import MedshotError
from medshot.evaluation.episodes import encodes_alone, evaluate
from medshot.evaluation.protocols import protocol
from medshot.evaluation.statistics import paired
from results import arguments, commit, fill, hardware, learner_of

ROOT = Path(__file__).parents[1]
PROTOCOL = protocol("snell17/omniglot/20w1s")
# Not read in the papers' own text, but for Matching, Prototypical and SNAIL.
PUBLISHED = {
    "matching": 93.8,
    "matching-fce": 93.8,
    "prototypical": 96.0,
    "snail": 97.6,
    "relation": 97.6,
    "siamese": 88.0,
    "ridge": 96.2,
    "meta-memory": 97.0,
}
CHECKED = ("matching", "matching-fce", "prototypical", "snail")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--from", dest="source", type=Path, help="folder of all runs")
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.source:
        test = PROTOCOL.sampler(PROTOCOL.dataset("test"))
        for folder in sorted(options.source.glob("omniglot_*")):
            file = options.to / "results" / folder.name / "20w1s.json"
            if (folder / "result.json").exists() and not file.exists():
                _judge(folder, test, file)
    fill(options.to / "results.md", "twenty", table(options.to / "results"))


def _judge(folder: Path, test: Any, file: Path) -> None:
    learner = medshot.load_run(folder / "run").learner
    if not encodes_alone(learner):  # trained for five classes, or not alone
        return
    try:
        found = evaluate(learner, test, episodes=PROTOCOL.episodes)
    except MedshotError as error:
        print(f"{folder.name}: {error}")
        return
    probe = medshot.build("linear-probe", encoder=learner.encoder)
    theirs = evaluate(probe, test, episodes=PROTOCOL.episodes)
    difference = paired(found.scores["accuracy"], theirs.scores["accuracy"])
    about = {"protocol": PROTOCOL.name, "hardware": hardware(), "commit": commit()}
    row = about | {"minus_probe": vars(difference), **found.to_json()}
    write_text(file, json.dumps(row, indent=1) + "\n")
    print(f"{folder.name}: {found.scores['accuracy'].mean():.4f}", flush=True)


def table(results: Path) -> str:
    """A learner a row, best first: published, ours, against the probe."""
    rows = {f.parent.name: json.loads(f.read_text()) for f in results.glob("*/20w1s.json")}
    lines = [
        "| learner | published | ours | minus linear probe on its encoder | commit |",
        "|---|---|---|---|---|",
    ]
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["metrics"]["accuracy"]["mean"]):
        key = learner_of(name)
        theirs = f"{PUBLISHED[key]:.1f}" if key in PUBLISHED else "none"
        theirs += "" if key in CHECKED or key not in PUBLISHED else " (not checked)"
        ours, probe = row["metrics"]["accuracy"], row["minus_probe"]
        cells = [
            key,
            theirs,
            f"**{100 * ours['mean']:.2f} ± {50 * (ours['high'] - ours['low']):.2f}**",
            f"{100 * probe['mean']:+.2f} [{100 * probe['low']:.2f}, {100 * probe['high']:.2f}]",
            f"`{row['commit']}`",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
