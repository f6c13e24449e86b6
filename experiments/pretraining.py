"""Leave one data set out: encoders pretrained on eight `cls_*` sets, judged on the ninth.

    MEDSHOT_WEIGHTS=FOLDER python experiments/pretraining.py --out runs/pretraining [--only ...]

Each objective teaches the same encoder (4 layers of width 32, images of 32 pixels in colour) for
1500 steps of 64 images of one set at a time. Beside them the encoder untrained, raw pixels, and
the MobileNets of ImageNet at 96 pixels, of those files that lie in MEDSHOT_WEIGHTS. All are judged
by a linear probe on the first 100 episodes of `medshot26/<set>/5s`: 5 support images a class,
split by patient where patients are known; each is paired with the encoder untrained. Resumes:
what is written is skipped, a pretraining that was cut goes on.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import medshot
from medshot.core.atomic import write_text
from medshot.core.errors import DataError
from medshot.data.dataset import Dataset
from medshot.evaluation.episodes import evaluate
from medshot.evaluation.protocols import MEDICAL, data_root, protocol
from medshot.evaluation.statistics import paired
from medshot.training.progress import progress_bar
from results import arguments, commit, hardware, markdown, percent

SIZE, STEPS, EPISODES = 32, 1500, 100
JUDGED = ("skin_ham10000", "lung_histology", "brain_mri_tumor", "covid_ct")
METRIC = "balanced accuracy"
NONE = "untrained"
OBJECTIVES: dict[str, tuple[str, dict[str, Any]]] = {
    "reconstruct": ("reconstruct", {"mask": 0.0, "width": 16}),
    "reconstruct, masked": ("reconstruct", {"mask": 0.5, "patch": 4, "width": 16}),
    "colourise": ("colourise", {"width": 16}),
    "contrast (SimCLR)": ("contrast", {}),
    "contrast (SupCon)": ("contrast", {"labels": True}),
    "supervise": ("supervise", {}),
}
MOBILENETS = (
    "mobilenet_v1_0.25_224_imagenet_notop",
    "mobilenet_v1_1.0_224_imagenet_to_block12",
    "mobilenet_v2_1.0_224_imagenet",
)


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    for name in options.only or JUDGED:
        rows: dict[str, Callable[[], medshot.Encoder]] = {
            NONE: _untrained,
            "pixels": partial(medshot.encoder, "pixels", size=SIZE),
            **{key: partial(_imagenet, key) for key in _mobilenets()},
            **{key: partial(_pretrained, key, name, options.out) for key in OBJECTIVES},
        }
        for key, encoder in rows.items():
            file = options.out / name / f"{key}.json"
            if not file.exists():
                write_text(file, json.dumps(_judged(key, encoder, name, options.out)) + "\n")
                print(f"{file} {time.process_time():.0f} s", flush=True)


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of runs and results")
    parser.add_argument("--only", nargs="*", choices=JUDGED, help="only these sets are left out")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def _load(name: str) -> Dataset:
    if name not in _LOADED:
        _LOADED[name] = medshot.load(data_root() / f"cls_{name}", channels=3, size=SIZE)
    return _LOADED[name]


_LOADED: dict[str, Dataset] = {}


def _untrained() -> medshot.Encoder:
    torch.manual_seed(0)
    return medshot.encoder("conv4", size=SIZE, width=32, halve="stride")


def _pretrained(key: str, left_out: str, out: Path) -> medshot.Encoder:
    objective, options = OBJECTIVES[key]
    others = [_load(name) for name in MEDICAL if name != left_out]
    return medshot.pretrain(
        _untrained(),
        others,
        objective,
        steps=STEPS,
        judge_every=STEPS // 3,
        folder=out / "runs" / left_out / key,
        watch=progress_bar(key),
        **options,
    )


def _mobilenets() -> list[str]:
    """Those whose files are there."""
    place = Path(os.environ.get("MEDSHOT_WEIGHTS", ""))
    return [name for name in MOBILENETS if (place / f"{name}.npz").is_file()]


def _imagenet(name: str) -> medshot.Encoder:
    return medshot.load_encoder(Path(os.environ["MEDSHOT_WEIGHTS"]) / f"{name}.npz", size=96)


def _judged(key: str, make: Callable[[], medshot.Encoder], name: str, out: Path) -> dict[str, Any]:
    """Metrics with intervals, and the difference to the untrained encoder."""
    about = {"set": name, "encoder": key, "hardware": hardware(), "commit": commit()}
    started = time.process_time()
    try:
        encoder = make()
    except DataError as error:
        return about | {"not done": str(error)}
    spent = time.process_time() - started
    sampler = protocol(f"medshot26/{name}/5s").sampler(_load(name))
    found = evaluate(medshot.build("linear-probe", encoder=encoder), sampler, episodes=EPISODES)
    scores = {metric: [round(float(s), 5) for s in v] for metric, v in found.scores.items()}
    about |= {"origin": encoder.origin, "cpu_seconds": round(spent, 1), **found.to_json()}
    if key != NONE:
        theirs = json.loads((out / name / f"{NONE}.json").read_text())["scores"][METRIC]
        about["minus_untrained"] = vars(paired(found.scores[METRIC], np.array(theirs)))
    return about | {"scores": scores}


AUROC = "macro AUROC"
Found = dict[tuple[str, str], dict[str, Any]]


def gather(source: Path, kept: Path) -> None:
    """Keep what a run wrote, without the score of every episode."""
    files = sorted(file for name in JUDGED for file in (source / name).glob("*.json"))
    rows = [json.loads(file.read_text()) for file in files]
    short = [{name: value for name, value in row.items() if name != "scores"} for row in rows]
    write_text(kept, json.dumps(short, indent=1) + "\n")


def table(rows: list[dict[str, Any]]) -> str:
    """A row an encoder, a column a set; and what it ran on."""
    found = {(row["set"], row["encoder"]): row for row in rows}
    sets = [name for name in JUDGED if (name, NONE) in found]
    lines = [
        [key, *(_cell(found.get((name, key))) for name in sets)]
        for key in (NONE, "pixels", *OBJECTIVES, *MOBILENETS)
    ]
    return f"{markdown(['encoder', *(f'`{name}`' for name in sets)], lines)}\n{_about(found)}\n"


def _about(found: Found) -> str:
    """What it ran on, and how long pretraining took."""
    seconds = [row["cpu_seconds"] for (_, key), row in found.items() if key in OBJECTIVES]
    spent = f"{min(seconds):.0f} to {max(seconds):.0f} CPU seconds" if seconds else "not run"
    where = " and ".join(
        sorted({f"{r['hardware']}, commit `{r['commit']}`" for r in found.values()})
    )
    return f"Pretraining, reading the images included: {spent}. {where}."


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "not run"
    if "not done" in row:
        return "no data of colour left"
    accuracy, auroc = (percent(row["metrics"][metric]) for metric in (METRIC, AUROC))
    minus = row.get("minus_untrained")
    return f"{accuracy} / {auroc}" + (f"<br>{percent(minus, '+')}" if minus else "")


if __name__ == "__main__":
    main()
