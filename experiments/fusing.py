"""Ensembles beside their best member, and kinds of data joined beside the best of them.

    python experiments/fusing.py --out runs/fusing

Ensembles: on three sets, 8 episodes of 10 support and 10 query images a class, no patient in both.
Four small learners; beside them the one that cross-validation in the support chooses (`auto`), and
all of them fused: mean, weighted and stacked by what they say of support images left out. And one
fine-tuning of 60 steps beside three snapshots of it, 20 steps each. Intervals are over episodes.

Kinds of data: 5 folds by patient, intervals by bootstrap over patients. Chest X-rays of COVID-19
with notes, age, sex and days since onset: was it taken from behind (PA), or from the front (AP), as
it is of those who cannot stand? The words that say so are taken out of the notes. Whether it is
COVID-19 cannot be asked: only those images have notes. Once more with the notes of a third of the
patients missing. Heart disease from a table, and heart sounds: other patients, so each alone.

Each part is kept as it is done, and not done again.
"""

import csv
import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import medshot
from medshot.core.atomic import write_text
from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Card, Task
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.data.transforms import ImagePreprocessing
from medshot.evaluation.cross_validation import OutOfFold, cross_validate
from medshot.evaluation.episodes import evaluate
from medshot.evaluation.protocols import data_root
from medshot.evaluation.statistics import paired
from medshot.nn.encoders.multimodal import without
from medshot.selection import Auto
from medshot.stages.fuse.fuse import fused_snapshots
from results import commit, hardware, made_on, markdown, parse, percent

SETS = ("cls_covid_cxr", "cls_head_ct_hemorrhage", "cls_skin_ham10000")
EPISODES, SHOT, QUERY, SIZE = 8, 10, 10, 32
STEPS, CYCLES = 60, 3
VIEW = re.compile(r"\b(ap|pa|supine|portable|bedside|antero-?posterior|postero-?anterior)\b", re.I)
METRICS = ("balanced accuracy", "macro AUROC")


class Snapshots(Learner):
    """Fine-tunes in cycles and averages what it was at the end of each."""

    supports = (medshot.Classification,)
    source = "Huang et al. 2017, arXiv:1704.00109"
    trainable = False
    adapts_encoder = True

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def learn(self, support: Examples, task: Task) -> Predictor:
        begun = medshot.build("finetune", encoder=self.encoder, steps=0).learn(support, task)
        begun.card = Card(task, (), ImagePreprocessing(3, SIZE), {})
        options: dict[str, Any] = {
            "cycles": CYCLES,
            "steps": STEPS // CYCLES,
            "batch": len(support),
        }
        return fused_snapshots(begun, support, **options)


def main() -> None:
    options = parse(__doc__)
    parts: dict[str, Callable[[Path], dict[str, Any]]] = {
        **{name: lambda _, name=name: ensembles(name) for name in SETS},
        "notes": lambda out: notes(out, missing=False),
        "notes_missing": lambda out: notes(out, missing=True),
        "heart_table": heart_table,
        "heart_sounds": heart_sounds,
    }
    for name, part in parts.items():
        file = options.out / f"{name}.json"
        if file.exists() or (options.only and name not in options.only):
            continue
        began = time.process_time()
        rows = part(options.out)
        about = {"part": name, "cpu_seconds": round(time.process_time() - began), "rows": rows}
        write_text(file, json.dumps(about, indent=1) + "\n")
        print(name, about["cpu_seconds"], "s", json.dumps(_short(rows)), flush=True)
    done = [json.loads(f.read_text()) for n in parts if (f := options.out / f"{n}.json").exists()]
    result = {"hardware": hardware(), "commit": commit(), "parts": done}
    write_text(options.out / "result.json", json.dumps(result, indent=1) + "\n")


def ensembles(name: str) -> dict[str, Any]:
    """Members, the chosen one, and ensembles, in the same episodes."""
    torch.manual_seed(0)
    data = medshot.load(data_root() / name, channels=3, size=SIZE)
    way = len(data.labels)
    source = EpisodeSampler(data, way=way, shot=SHOT, query=QUERY, seed=1234)
    small = medshot.encoder("conv4", size=SIZE, width=16, halve="stride")
    pixels = medshot.encoder("pixels", size=SIZE, reduce=2)
    members = {
        "linear probe on pixels": medshot.build("linear-probe", encoder=pixels),
        "LDA on conv4": medshot.build("lda", encoder=small),
        "nearest centroid on conv4": medshot.build("nearest-centroid", encoder=small),
        "fine-tuned conv4": medshot.build("finetune", encoder=small, steps=STEPS // 3, lr=0.003),
    }
    each = list(members.values())
    methods: dict[str, Learner] = {
        "best one, chosen on the support": Auto(each).eval(),
        **{f"fused: {how}": medshot.EnsembleOf(each, how=how).eval() for how in WAYS},
        **members,
        "one fine-tuning": medshot.build("finetune", encoder=small, steps=STEPS),
        "three snapshots of it": Snapshots(small).eval(),
    }
    found = {n: evaluate(m, source, episodes=EPISODES) for n, m in methods.items()}
    lead = METRICS[0]
    first = dict.fromkeys(found, "best one, chosen on the support")
    first["three snapshots of it"] = "one fine-tuning"
    return {
        n: {m: vars(r.interval(m)) for m in METRICS}
        | {"difference": vars(paired(r.scores[lead], found[first[n]].scores[lead]))}
        for n, r in found.items()
    }


WAYS = ("mean", "weighted", "stack")


def notes(out: Path, *, missing: bool) -> dict[str, Any]:
    """The view of chest X-rays, from the image, its notes, a table, and all of them."""
    data = _loaded(out / "folders" / "views", _views)
    if missing:
        data = _without_some_notes(data)
    chosen = {
        "image": ["image"],
        "notes": ["text"],
        "table": ["table"],
        "image + notes, late": ["image", "text"],
        "image + notes + table, late": ["image", "text", "table"],
        "image + notes + table, attention": ["image", "text", "table"],
    }
    return _compared(data, chosen)


def heart_table(out: Path) -> dict[str, Any]:
    """Heart disease from 13 columns, in four hospitals together."""
    data = _loaded(out / "folders" / "heart", _heart)
    torch.manual_seed(0)
    learners = {
        "linear probe": medshot.build("linear-probe", encoder=medshot.encoder("joined")),
        "linear probe, hidden layer": medshot.build(
            "linear-probe", encoder=medshot.encoder("joined", hidden=64)
        ),
    }
    return _rows({n: cross_validate(learner, data) for n, learner in learners.items()})


def heart_sounds(out: Path) -> dict[str, Any]:
    """Four kinds of heart sounds, by three encoders, untrained, and one that is fine-tuned."""
    data = _loaded(out / "folders" / "sounds", _sounds)
    found = {}
    for name in ("signal-cnn", "signal-gru", "signal-transformer"):
        torch.manual_seed(0)
        encoder = medshot.encoder("joined", signal=name)
        probe = medshot.build("linear-probe", encoder=encoder)
        found[f"linear probe on {name}"] = cross_validate(probe, data)
        tuned = medshot.build("finetune", encoder=encoder, steps=STEPS // 2, lr=0.003)
        found[f"fine-tuned {name}"] = cross_validate(tuned, data)
    return _rows(found)


def _compared(data: Dataset, chosen: dict[str, list[str]]) -> dict[str, Any]:
    found = {}
    for name, kinds in chosen.items():
        torch.manual_seed(0)
        attention = name.endswith("attention")
        encoder = medshot.encoder("joined", join="attention" if attention else "late")
        options = {"steps": STEPS, "lr": 0.001} if attention else {}
        learner = medshot.build(
            "finetune" if attention else "linear-probe", encoder=encoder, **options
        )
        found[name] = cross_validate(learner, _blind(data, kinds))
    return _rows(found)


def _blind(data: Dataset, kinds: list[str]) -> Dataset:
    """All examples, those too that have none of these kinds of data: the same for every method."""
    x = data.x
    for kind in {"image", "text", "table", "signal"} - set(kinds):
        x = without(x, kind)
    return replace(data, x=x)


def _rows(found: dict[str, OutOfFold]) -> dict[str, Any]:
    """Scores with intervals; of each its difference to the best single kind or learner."""
    lead = METRICS[0]
    singles = [n for n in found if "+" not in n]
    best = max(singles, key=lambda n: found[n].interval(lead).mean)
    return {
        n: {m: vars(f.interval(m)) for m in METRICS}
        | {"difference": vars(f.minus(found[best], lead)), "to": best}
        for n, f in found.items()
    }


def _loaded(folder: Path, write: Callable[[Path], list[dict[str, str]]]) -> Dataset:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = write(folder)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return medshot.load(folder)


def _views(folder: Path) -> list[dict[str, str]]:
    source = data_root() / "cls_covid_cxr"
    rows = []
    for row in _table(source / "notes.csv"):
        shutil.copy(source / row["path"], folder)
        rows.append(
            {
                "label": "PA" if row["view"] == "PA" else "AP",
                "patient": row["patient"],
                "path": Path(row["path"]).name,
                "text": VIEW.sub(" ", row["clinical_notes"]),
                "table.age": row["age"],
                "table.sex": row["sex"],
                "table.days": row["days_since_onset"],
            }
        )
    return rows


def _heart(folder: Path) -> list[dict[str, str]]:
    del folder
    left_out = ("hospital", "num", "label")  # num is the label, in degrees
    return [
        {"label": "sick" if row["label"] == "1" else "healthy", "patient": f"row {i}"}
        | {f"table.{name}": cell for name, cell in row.items() if name not in left_out}
        for i, row in enumerate(_table(data_root() / "tab_disease" / "heart_disease.csv"))
    ]


def _sounds(folder: Path) -> list[dict[str, str]]:
    source = data_root() / "sig_heart_sounds"
    rows = _table(source / "labels.csv")
    for row in rows:
        shutil.copy(source / row["path"], folder)
    return [{"label": row["label"], "signal": Path(row["path"]).name} for row in rows]


def _without_some_notes(data: Dataset) -> Dataset:
    """The notes of a third of the patients are taken away."""
    patients = np.unique(data.groups.numpy())
    gone = np.random.default_rng(0).permutation(patients)[: len(patients) // 3]
    those = torch.from_numpy(np.isin(data.groups.numpy(), gone))[:, None]
    return replace(data, x=torch.where(those, without(data.x, "text"), data.x))


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _short(rows: dict[str, Any]) -> dict[str, str]:
    return {
        n: f"{row[METRICS[0]]['mean']:.3f} {row[METRICS[1]]['mean']:.3f}" for n, row in rows.items()
    }


TITLES = {
    "notes": "view of a chest X-ray (COVID-19)",
    "notes_missing": "the same, a third of the patients without notes",
    "heart_table": "heart disease, table",
    "heart_sounds": "heart sounds, 4 kinds (no patients known)",
}


def table(found: dict[str, Any]) -> str:
    """A table a part: a row a method, in percent."""
    columns, tables = (*METRICS, "difference"), []
    for part in found["parts"]:
        title = TITLES.get(part["part"], f"`{part['part']}`")
        rows = [
            [name, *(_cell(row[column]) for column in columns)]
            for name, row in part["rows"].items()
        ]
        tables.append(markdown([title, *columns], rows))
    seconds = sum(part["cpu_seconds"] for part in found["parts"])
    return "\n".join([*tables, f"{seconds} CPU seconds in all. {made_on(found)}\n"])


def _cell(found: dict[str, Any]) -> str:
    to_itself = found["mean"] == found["low"] == found["high"] == 0
    return "" if to_itself else percent(found)


if __name__ == "__main__":
    main()
