"""The steps of `medshot demo`: the same calls that a user would make, on phantoms."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from medshot.api.adapt import adapted
from medshot.api.resolve import automatic
from medshot.app.render_evaluation import report_of
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.evaluation.evaluate import Evaluation, evaluate
from medshot.evaluation.report import write_report
from medshot.phantoms import PhantomEpisodes, phantom_dataset
from medshot.presenters import kind_called
from medshot.training.progress import watch_folds

WAY, SHOT, SIZE = 4, 5, 128
QUERIES_A_CLASS = 25
BASELINE = "ImageNet linear probe"
MADE_UP = "Phantoms are drawn by a program. The numbers say nothing about real images."


@dataclass(frozen=True)
class Done:
    """What the demonstration made."""

    judged: Evaluation
    support: Path
    queries: Path
    model: Path
    labels: tuple[str, ...]


def demonstrate(out: Path, command: str) -> Done:
    """Adapt to a few images, evaluate on new ones beside the bar; leave folders of real files."""
    support_folder, query_folder = _write_task(out)
    learner = automatic()
    form = {"channels": 3, "size": learner.encoder.size}
    support = load_one(support_folder, **form)
    predictor, report = adapted(learner, support, command, watch=watch_folds)
    model, beside = predictor.save(out / "model"), out / BASELINE
    write_report(report, out / "model" / "report.html")
    kind_called("classification").baselines(channels=3)[0].adapt(support).save(beside)
    judged = evaluate(model, beside, data=query_folder)
    page = report_of(judged, command)
    page = replace(page, title="Demonstration on phantoms", warnings=(MADE_UP, *page.warnings))
    write_report(page, out / "report.html")
    return Done(judged, support_folder, query_folder, out / "model", support.labels)


def _write_task(out: Path) -> tuple[Path, Path]:
    """A task as folders of PNGs: the support, and queries of other patients."""
    task = PhantomEpisodes(WAY, SHOT, 1, SIZE, "unseen", seed=2).task(0)
    everything = phantom_dataset(task, SHOT + QUERIES_A_CLASS, images_per_patient=1)
    rank = torch.arange(len(everything)) // WAY  # rows go round the classes
    parts = ("my_images", rank < SHOT), ("new_images", rank >= SHOT)
    folders = []
    for name, chosen in parts:
        folders.append(out / name)
        _write_folder(everything.subset(chosen.nonzero().flatten()), folders[-1])
    return folders[0], folders[1]


def _write_folder(dataset: Dataset, folder: Path) -> None:
    folder.mkdir(parents=True)
    rows = []
    for i in range(len(dataset)):
        path, label = f"{i:03d}.png", dataset.labels[dataset.y[i]]
        Image.fromarray(dataset.x[i].numpy().transpose(1, 2, 0)).save(folder / path)
        rows.append((path, label, f"patient {int(dataset.groups[i])}"))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "patient"), *rows])
