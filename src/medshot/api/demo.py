"""Demonstration of the main job on phantoms: adapt to a few images, evaluate on new ones."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from medshot.api.adapt import adapt
from medshot.api.evaluation import Evaluation, evaluated
from medshot.core import load_predictor
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.phantoms import PhantomEpisodes, phantom_dataset
from medshot.presenters import kind_called

WAY, SHOT, SIZE = 4, 5, 128
QUERIES_A_CLASS = 25
BASELINE = "ImageNet linear probe"
CAUTION = "Phantoms are drawn by a program. The numbers say nothing about real images."


@dataclass(frozen=True)
class Demonstration:
    """Folders of made-up images, the model adapted to them, and its evaluation on new ones."""

    evaluation: Evaluation
    support: Path
    queries: Path
    model: Path
    report: Path
    labels: tuple[str, ...]
    default_output: str


def demo(out: str | Path, command: str = "", *, threads: int = 1) -> Demonstration:
    """Write a task of phantoms as folders of PNG files, adapt to it, evaluate beside the bar.

    Everything is in the new folder `out`: my_images, new_images, model, report.html.
    """
    out = Path(out)
    support, queries = _write_task(out)
    found = adapt(support, out=out / "model", command=command, threads=threads)
    size: Any = getattr(found.predictor.known_card().preprocessing, "size", None)
    probe = kind_called("classification").baselines(channels=3)[0]
    predictors = {
        "model": load_predictor(out / "model"),
        BASELINE: probe.adapt(load_one(support, channels=3, size=size)),
    }
    evaluation = evaluated(predictors, queries)
    page = evaluation.report(command)
    page = replace(page, title="Demonstration on phantoms", warnings=(CAUTION, *page.warnings))
    report = page.save(out / "report.html")
    labels = found.predictor.known_card().labels
    return Demonstration(
        evaluation, support, queries, out / "model", report, labels, found.predictor.default_output
    )


def _write_task(out: Path) -> tuple[Path, Path]:
    """A task as two folders of PNG files: the support, and queries of other patients."""
    task = PhantomEpisodes(WAY, SHOT, 1, SIZE, "unseen", seed=2).task(0)
    everything = phantom_dataset(task, SHOT + QUERIES_A_CLASS, images_per_patient=1)
    rank = torch.arange(len(everything)) // WAY  # rows go round the classes
    support, queries = out / "my_images", out / "new_images"
    for folder, chosen in ((support, rank < SHOT), (queries, rank >= SHOT)):
        _write_folder(everything.subset(chosen.nonzero().flatten()), folder)
    return support, queries


def _write_folder(dataset: Dataset, folder: Path) -> None:
    folder.mkdir(parents=True)
    rows = []
    for i in range(len(dataset)):
        path, label = f"{i:03d}.png", dataset.labels[dataset.y[i]]
        Image.fromarray(dataset.x[i].numpy().transpose(1, 2, 0)).save(folder / path)
        rows.append((path, label, f"patient {int(dataset.groups[i])}"))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "patient"), *rows])
