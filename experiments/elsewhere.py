"""What weights from elsewhere bring: encoders of ImageNet's photographs on five medical sets.

    MEDSHOT_DATA=FOLDER MEDSHOT_WEIGHTS=FOLDER \
      python experiments/elsewhere.py --out runs/elsewhere --threads 1 [--only SET ...]

A linear probe (logistic regression on normalized features, C = 100) learns from 1, 5 and 20 images
of each class of a set, and answers 10 others of each: 200 episodes, patients apart where they are
known. Of each class at most 80 images are taken, drawn once. Encoders are frozen and see every
image once, at the size in their row. Each is paired, episode by episode, with the MobileNetV1 at
224 pixels; two that learned nothing are the floor. Features are the mean over the last map, but for
the encoder `mobilenet` as it comes with medshot. The other MobileNets are files in MEDSHOT_WEIGHTS,
the EfficientNet-Lite0 is the extra `efficientnet`. Resumes: a set with an encoder is done once.
"""

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
from medshot.core.registry import called
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.episodes import EncodedEpisodes, encode, evaluate, without_encoder
from medshot.evaluation.protocols import data_root
from medshot.evaluation.statistics import mean_interval, paired
from results import commit, hardware, markdown, parse, percent

SETS = ("skin_ham10000", "brain_mri_tumor", "lung_ct_iqoth", "cxr_tb_shenzhen", "oral_histology")
SHOTS, QUERIES, EPISODES, MOST, SEED = (1, 5, 20), 10, 200, 80, 1234
AT_ONCE = 32  # images encoded together
METRICS = ("balanced accuracy", "macro AUROC")
FIRST = "MobileNetV1 to block 12, 224"


def main() -> None:
    options = parse(__doc__)
    rows = []
    for name in options.only or SETS:
        data = _load(name)
        first: list[dict[str, Any]] = []
        for key, make in ENCODERS.items():
            file = options.out / name / f"{key}.json"
            if not file.exists():
                write_text(file, json.dumps(_judged(name, key, make(), data)) + "\n")
            found = json.loads(file.read_text())
            first = first or found
            rows += [_summary(row, other) for row, other in zip(found, first, strict=True)]
            print(f"{file} {time.process_time():.0f} s", flush=True)
        write_text(options.out / "result.json", json.dumps({"rows": rows}, indent=1) + "\n")


def _load(name: str) -> Dataset:
    """At most `MOST` images of each class, drawn once and for all."""
    whole = medshot.load(data_root() / f"cls_{name}", channels=3, size=224)
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))
    kept = [order[whole.y[order] == c][:MOST] for c in range(len(whole.labels))]
    return whole.subset(torch.cat(kept).sort().values)


def _of_file(name: str, size: int) -> medshot.Encoder:
    return medshot.load_encoder(Path(os.environ["MEDSHOT_WEIGHTS"]) / f"{name}.npz", size=size)


def _untrained(name: str, **options: Any) -> medshot.Encoder:
    torch.manual_seed(0)
    return medshot.encoder(name, **options)


V1 = "mobilenet_v1_1.0_224_imagenet_to_block12"
ENCODERS: dict[str, Callable[[], medshot.Encoder]] = {
    FIRST: partial(_of_file, V1, 224),
    "MobileNetV1 to block 12, 128": partial(_of_file, V1, 128),
    "MobileNetV1 as packaged (five depths), 128": partial(medshot.encoder, "mobilenet", size=128),
    "MobileNetV1 0.25, 224": partial(_of_file, "mobilenet_v1_0.25_224_imagenet_notop", 224),
    "MobileNetV2, 224": partial(_of_file, "mobilenet_v2_1.0_224_imagenet", 224),
    "EfficientNet-Lite0, 224": partial(medshot.from_package, "efficientnet-lite0", size=224),
    "EfficientNet-Lite0, 128": partial(medshot.from_package, "efficientnet-lite0", size=128),
    "ResNet-50 untrained, 128": partial(_untrained, "timm", network="resnet50", size=128),
    "conv4 untrained, 64": partial(_untrained, "conv4", size=64),
}


def _judged(name: str, key: str, encoder: medshot.Encoder, data: Dataset) -> list[dict[str, Any]]:
    """A row a number of shots, with the scores of every episode."""
    fitted = data.at(3, encoder.size or 224)
    started = time.process_time()
    parts = [fitted.subset(part) for part in torch.arange(len(fitted)).split(AT_ONCE)]
    features = torch.cat([encode(encoder.eval(), part) for part in parts])
    spent = (time.process_time() - started) / len(fitted)
    about = {
        "set": name,
        "encoder": key,
        "images": len(data),
        "patients": data.about()["patients"],
        "origin": encoder.origin,
        "part": called(encoder),
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "features": encoder.n_features,
        "cpu_ms_an_image": round(1000 * spent, 1),
        "hardware": hardware(),
        "commit": commit(),
    }
    probe = without_encoder(medshot.build("linear-probe", encoder=encoder))
    rows = []
    for shot in SHOTS:
        options = {"way": len(data.labels), "shot": shot, "query": QUERIES, "seed": SEED}
        episodes = EncodedEpisodes(EpisodeSampler(fitted, **options), features)
        found = evaluate(probe, episodes, episodes=EPISODES)
        scores = {metric: found.scores[metric].round(5).tolist() for metric in METRICS}
        rows.append({**about, "shot": shot, "episodes": found.episodes, "scores": scores})
    return rows


def _summary(row: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """Means with intervals, and the differences to the first encoder, in place of scores."""
    if row["episodes"]["fingerprint"] != first["episodes"]["fingerprint"]:
        raise ValueError(f"{row['set']}, {row['encoder']}: other episodes than {first['encoder']}")
    mine, theirs = ({m: np.array(r["scores"][m]) for m in METRICS} for r in (row, first))
    found = {name: value for name, value in row.items() if name != "scores"}
    found["metrics"] = {m: vars(mean_interval(mine[m])) for m in METRICS}
    if row["encoder"] != first["encoder"]:
        found["minus_first"] = {m: vars(paired(mine[m], theirs[m])) for m in METRICS}
    return found


ACCURACY = METRICS[0]
Rows = list[dict[str, Any]]


def table(found: dict[str, Any]) -> str:
    """The encoders, their scores at each number of shots, and what was done."""
    rows: Rows = found["rows"]
    sets = list(dict.fromkeys(row["set"] for row in rows))
    parts = [_encoder_table(rows), *(_score_table(rows, sets, shot) for shot in SHOTS)]
    return "\n".join([*parts, _about(rows)])


def _encoder_table(rows: Rows) -> str:
    """A row an encoder: what it costs, and its mean difference to the first over all sets."""
    head = ["encoder, pixels", "parameters, million", "features", "CPU ms an image"]
    head += [f"{shot} shot{'s' * (shot > 1)}" for shot in SHOTS]
    lines = []
    for key in dict.fromkeys(row["encoder"] for row in rows):
        own = [row for row in rows if row["encoder"] == key]
        times = sorted(row["cpu_ms_an_image"] for row in own)
        cells = [key, f"{own[0]['parameters'] / 1e6:.1f}", own[0]["features"]]
        cells += [f"{times[len(times) // 2]:.0f}"]
        lines.append([*cells, *(_mean([r for r in own if r["shot"] == shot]) for shot in SHOTS)])
    return markdown(head, lines)


def _mean(rows: Rows) -> str:
    """The mean over the sets, and how far it is from that of the first encoder."""
    mean = sum(row["metrics"][ACCURACY]["mean"] for row in rows) / len(rows)
    if rows[0]["encoder"] == FIRST:
        return f"{100 * mean:.1f}"
    minus = sum(row["minus_first"][ACCURACY]["mean"] for row in rows) / len(rows)
    return f"{100 * mean:.1f} ({100 * minus:+.1f})"


def _score_table(rows: Rows, sets: list[str], shot: int) -> str:
    """A row an encoder, a column a set: balanced accuracy, and below it the paired difference."""
    at = {(row["encoder"], row["set"]): row for row in rows if row["shot"] == shot}
    lines = [
        [key, *(_cell(at.get((key, name))) for name in sets)]
        for key in dict.fromkeys(row["encoder"] for row in rows)
    ]
    head = ["encoder, pixels", *(f"`{name}`" for name in sets)]
    return f"{shot} image{'s' * (shot > 1)} a class:\n\n{markdown(head, lines)}"


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "not run"
    minus = row.get("minus_first")
    below = f"<br>{percent(minus[ACCURACY], '+')}" if minus else ""
    return percent(row["metrics"][ACCURACY]) + below


def _about(rows: Rows) -> str:
    """The sets as they were judged, the command and where it ran."""
    sets = {row["set"]: row for row in rows}
    said = [
        f"`{name}` {row['images']} images, patients {row['patients']}" for name, row in sets.items()
    ]
    where = sorted({f"{row['hardware']}; commit `{row['commit']}`" for row in rows})
    return (
        f"{EPISODES} episodes a cell, at most {MOST} images of each class: {'; '.join(said)}. "
        f"`python experiments/elsewhere.py --out runs/elsewhere --threads 1`; {' and '.join(where)}"
        ".\n"
    )


if __name__ == "__main__":
    main()
