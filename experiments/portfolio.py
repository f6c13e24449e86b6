"""The stored table of `medshot select`: which configuration did how well on other data sets.

    python experiments/portfolio.py [--to src/medshot/select/portfolio.json]

From docs/results/medical.csv (experiments/medical.py: nine `cls_*` sets, 1, 5 and 10 images a
class, 200 episodes each): the mean balanced accuracy of each learner that needs no meta-training,
on raw pixels and on an untrained encoder. Transductive ones are left out, as no predictor of theirs
can be saved.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from medical import SHOTS, SIZE
from medical_tables import METRIC, read
from medshot.core.files import write_text
from medshot.select import Configuration
from medshot.select.portfolio import STORED
from pages import read_csv

CSV = Path(__file__).parents[1] / "docs" / "results" / "medical.csv"
ENCODERS: dict[str, dict[str, Any]] = {  # as experiments/medical.py has them
    "pixels": {"encoder.size": SIZE, "encoder.reduce": 1},
    "untrained": {"encoder.size": SIZE, "encoder.width": 32, "encoder.halve": "stride"},
}
OWN: dict[str, dict[str, Any]] = {  # the defaults with which they were measured
    "linear-probe": {"c": 100.0},
    "lda": {"shrinkage": None},
    "nearest-centroid": {},
    "simpleshot": {},
    "baseline++": {"steps": 100},
    "finetune": {"lr": 0.001, "steps": 50, "batch": None},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, default=STORED)
    options = parser.parse_args()
    table = read(CSV)
    sets = sorted({key[1] for key in table})
    keys = [f"{name}/{on}" for name in OWN for on in ENCODERS if f"{name}/{on}" in _keys(table)]
    rows = [
        {"set": name, "shot": shot, "scores": [table[k, name, shot, METRIC]["mean"] for k in keys]}
        for name in sets
        for shot in SHOTS
    ]
    about = {
        "made by": "python experiments/portfolio.py",
        "measured by": "python experiments/medical.py --out runs/medical",
        "commits": sorted({row["commit"] for row in read_csv(CSV)}),
        "metric": METRIC,
    }
    told = [vars(_configuration(key)) for key in keys]
    kinds = {"classification": {"configurations": told, "rows": rows}}
    write_text(options.to, json.dumps({**about, "kinds": kinds}, indent=1) + "\n")


def _keys(table: Any) -> set[str]:
    return {key[0] for key in table}


def _configuration(key: str) -> Configuration:
    learner, _, on = key.partition("/")
    encoder = "conv4" if on == "untrained" else on
    return Configuration(learner, encoder, ENCODERS[on] | OWN[learner])


if __name__ == "__main__":
    main()
