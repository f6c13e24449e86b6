"""The stored table of `medshot select`: which configuration did how well on other data sets.

    python experiments/portfolio.py [--to src/medshot/selection/portfolio.json]

From docs/results/medical.csv (experiments/medical.py: eight `cls_*` sets, 1, 5 and 20 images a
class, 40 episodes each): the mean balanced accuracy of each learner that needs no meta-training,
on the packaged encoder and on raw pixels. Transductive ones are left out, as no predictor of theirs
can be saved.
"""

import json
from pathlib import Path
from typing import Any

from medical import PIXELS, SHOTS
from medical_tables import METRIC, read
from medshot.core.atomic import write_text
from medshot.presenters.classification import BAR
from medshot.selection import Configuration
from medshot.selection.portfolio import STORED
from results import arguments, read_csv

CSV = Path(__file__).parents[1] / "docs" / "results" / "medical.csv"
ON: dict[str, dict[str, Any]] = {  # as experiments/medical.py has them
    "mobilenet": {"encoder.size": 128},
    "pixels": {f"encoder.{name}": value for name, value in PIXELS.items()},
}
OWN: dict[str, dict[str, Any]] = {  # the defaults with which they were measured
    "linear-probe": {"c": 100.0},
    "lda": {"shrinkage": None},
    "nearest-centroid": {},
    "simpleshot": {},
    "baseline++": {"steps": 100},
}
CONFIGURATIONS = {
    "stacked-probe/mobilenet": Configuration("stacked-probe", "mobilenet"),
    "linear-probe/bar": Configuration("linear-probe", "mobilenet", BAR),
    **{
        f"{name}/{on}": Configuration(name, on, form | own)
        for name, own in OWN.items()
        for on, form in ON.items()
        if (name, on) != ("linear-probe", "mobilenet")  # the bar is that of `select`
    },
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--to", type=Path, default=STORED)
    options = parser.parse_args()
    table = read(CSV)
    sets = sorted({key[1] for key in table})
    rows = [
        {
            "set": name,
            "shot": shot,
            "scores": [table[k, name, shot, METRIC]["mean"] for k in CONFIGURATIONS],
        }
        for name in sets
        for shot in SHOTS
    ]
    about = {
        "made by": "python experiments/portfolio.py",
        "measured by": "python experiments/medical.py --out runs/medical",
        "commits": sorted({row["commit"] for row in read_csv(CSV)}),
        "metric": METRIC,
    }
    told = [vars(each) for each in CONFIGURATIONS.values()]
    kinds = {"classification": {"configurations": told, "rows": rows}}
    write_text(options.to, json.dumps({**about, "kinds": kinds}, indent=1) + "\n")


if __name__ == "__main__":
    main()
