"""Pretrained encoders under a linear probe: our own pretraining, and published weights.

    MEDSHOT_WEIGHTS=FOLDER python experiments/pretraining.py --out runs/pretraining [--only SET ...]
    MEDSHOT_WEIGHTS=FOLDER python experiments/pretraining.py published --out runs/published

Our own leaves one data set out: encoders pretrained on eight `cls_*` sets, judged on the ninth.
Each objective teaches the same encoder (4 layers of width 32, images of 32 pixels in color) for
1500 steps of 64 images of one set at a time. Beside them the encoder untrained, raw pixels, and the
MobileNets of ImageNet at 96 pixels, of those files that lie in MEDSHOT_WEIGHTS. All are judged by a
linear probe on the first 100 episodes of `medshot26/<set>/5s`: 5 support images a class, split by
patient where patients are known; each is paired with the encoder untrained. Resumes: what is
written is skipped, a pretraining that was cut goes on.

`published`: encoders of ImageNet's photographs on five medical sets. A linear probe (logistic
regression on normalized features, C = 100) learns from 1, 5 and 20 images of each class of a set,
and answers 10 others of each: 200 episodes, patients apart where they are known. Of each class at
most 80 images are taken, drawn once. Encoders are frozen and see every image once, at the size in
their row. Each is paired, episode by episode, with the MobileNetV1 at 224 pixels; two that learned
nothing are the floor. Features are the mean over the last map, but for the encoder `mobilenet` as
it comes with medshot. The other MobileNets are files in MEDSHOT_WEIGHTS, the EfficientNet-Lite0 is
the extra `efficientnet`. Resumes: a set with an encoder is done once.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import medshot
from medshot.core.atomic import write_text
from medshot.core.errors import DataError
from medshot.core.registry import called
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.episodes import EncodedEpisodes, encode, evaluate, without_encoder
from medshot.evaluation.protocols import MEDICAL, data_root, protocol
from medshot.evaluation.statistics import mean_interval, paired
from medshot.training.progress import progress_bar
from results import arguments, commit, hardware, markdown, percent

SIZE, STEPS, EPISODES = 32, 1500, 100
JUDGED = ("skin_ham10000", "lung_histology", "brain_mri_tumor", "covid_ct")
METRIC, AUROC = "balanced accuracy", "macro AUROC"
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
# Of `published`.
SETS = ("skin_ham10000", "brain_mri_tumor", "lung_ct_iqoth", "cxr_tb_shenzhen", "oral_histology")
SHOTS, QUERIES, EPISODES_PUBLISHED, MOST, SEED = (1, 5, 20), 10, 200, 80, 1234
AT_ONCE = 32  # images encoded together
METRICS = (METRIC, AUROC)


def main() -> None:
    parser = arguments(__doc__, "own", "published")
    parser.add_argument("--out", type=Path, required=True, help="folder of runs and results")
    parser.add_argument("--only", nargs="*", metavar="SET", help="only these sets")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.part == "published":
        published(options.only or SETS, options.out)
    else:
        own(options.only or JUDGED, options.out)


def own(names: Sequence[str], out: Path) -> None:
    """Pretrain without each of the sets `names`, and judge on it."""
    for name in names:
        rows: dict[str, Callable[[], medshot.Encoder]] = {
            NONE: _untrained,
            "pixels": partial(medshot.encoder, "pixels", size=SIZE),
            **{key: partial(_of_file, key, 96) for key in _mobilenets()},
            **{key: partial(_pretrained, key, name, out) for key in OBJECTIVES},
        }
        for key, encoder in rows.items():
            file = out / name / f"{key}.json"
            if not file.exists():
                write_text(file, json.dumps(_judged(key, encoder, name, out)) + "\n")
                print(f"{file} {time.process_time():.0f} s", flush=True)


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


def _of_file(name: str, size: int) -> medshot.Encoder:
    return medshot.load_encoder(Path(os.environ["MEDSHOT_WEIGHTS"]) / f"{name}.npz", size=size)


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


def _seeded(name: str, **options: Any) -> medshot.Encoder:
    torch.manual_seed(0)
    return medshot.encoder(name, **options)


FIRST = "MobileNetV1 to block 12, 224"
PUBLISHED: dict[str, Callable[[], medshot.Encoder]] = {
    FIRST: partial(_of_file, MOBILENETS[1], 224),
    "MobileNetV1 to block 12, 128": partial(_of_file, MOBILENETS[1], 128),
    "MobileNetV1 as packaged (five depths), 128": partial(medshot.encoder, "mobilenet", size=128),
    "MobileNetV1 0.25, 224": partial(_of_file, MOBILENETS[0], 224),
    "MobileNetV2, 224": partial(_of_file, MOBILENETS[2], 224),
    "EfficientNet-Lite0, 224": partial(medshot.from_package, "efficientnet-lite0", size=224),
    "EfficientNet-Lite0, 128": partial(medshot.from_package, "efficientnet-lite0", size=128),
    "ResNet-50 untrained, 128": partial(_seeded, "timm", network="resnet50", size=128),
    "conv4 untrained, 64": partial(_seeded, "conv4", size=64),
}


def published(names: Sequence[str], out: Path) -> None:
    """Judge the encoders `PUBLISHED` on the sets `names`."""
    rows = []
    for name in names:
        data = _sampled(name)
        first: list[dict[str, Any]] = []
        for key, make in PUBLISHED.items():
            file = out / name / f"{key}.json"
            if not file.exists():
                write_text(file, json.dumps(_judged_published(name, key, make(), data)) + "\n")
            found = json.loads(file.read_text())
            first = first or found
            rows += [_summary(row, other) for row, other in zip(found, first, strict=True)]
            print(f"{file} {time.process_time():.0f} s", flush=True)
        write_text(out / "result.json", json.dumps({"rows": rows}, indent=1) + "\n")


def _sampled(name: str) -> Dataset:
    """At most `MOST` images of each class, drawn once and for all."""
    whole = medshot.load(data_root() / f"cls_{name}", channels=3, size=224)
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))
    kept = [order[whole.y[order] == c][:MOST] for c in range(len(whole.labels))]
    return whole.subset(torch.cat(kept).sort().values)


def _judged_published(
    name: str, key: str, encoder: medshot.Encoder, data: Dataset
) -> list[dict[str, Any]]:
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
        form: dict[str, Any] = {
            "way": len(data.labels),
            "shot": shot,
            "query": QUERIES,
            "seed": SEED,
        }
        episodes = EncodedEpisodes(EpisodeSampler(fitted, **form), features)
        found = evaluate(probe, episodes, episodes=EPISODES_PUBLISHED)
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


Rows = list[dict[str, Any]]


def table_of_published(found: dict[str, Any]) -> str:
    """The encoders, their scores at each number of shots, and what was done."""
    rows: Rows = found["rows"]
    sets = list(dict.fromkeys(row["set"] for row in rows))
    parts = [_encoder_table(rows), *(_score_table(rows, sets, shot) for shot in SHOTS)]
    return "\n".join([*parts, _about_published(rows)])


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
    mean = sum(row["metrics"][METRIC]["mean"] for row in rows) / len(rows)
    if rows[0]["encoder"] == FIRST:
        return f"{100 * mean:.1f}"
    minus = sum(row["minus_first"][METRIC]["mean"] for row in rows) / len(rows)
    return f"{100 * mean:.1f} ({100 * minus:+.1f})"


def _score_table(rows: Rows, sets: list[str], shot: int) -> str:
    """A row an encoder, a column a set: balanced accuracy, and below it the paired difference."""
    at = {(row["encoder"], row["set"]): row for row in rows if row["shot"] == shot}
    lines = [
        [key, *(_cell_published(at.get((key, name))) for name in sets)]
        for key in dict.fromkeys(row["encoder"] for row in rows)
    ]
    head = ["encoder, pixels", *(f"`{name}`" for name in sets)]
    return f"{shot} image{'s' * (shot > 1)} a class:\n\n{markdown(head, lines)}"


def _cell_published(row: dict[str, Any] | None) -> str:
    if row is None:
        return "not run"
    minus = row.get("minus_first")
    below = f"<br>{percent(minus[METRIC], '+')}" if minus else ""
    return percent(row["metrics"][METRIC]) + below


def _about_published(rows: Rows) -> str:
    """The sets as they were judged, the command and where it ran."""
    sets = {row["set"]: row for row in rows}
    said = [
        f"`{name}` {row['images']} images, patients {row['patients']}" for name, row in sets.items()
    ]
    where = sorted({f"{row['hardware']}; commit `{row['commit']}`" for row in rows})
    about = f"{EPISODES_PUBLISHED} episodes a cell, at most {MOST} images of each class"
    command = "python experiments/pretraining.py published --out runs/published --threads 1"
    return f"{about}: {'; '.join(said)}. `{command}`; {' and '.join(where)}.\n"


if __name__ == "__main__":
    main()
