"""The steps of `medshot demo`: the same calls that a user would make, on phantoms."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from medshot.app.choose import describe
from medshot.app.show import progress
from medshot.core.episode import Episode
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.data.phantoms import PhantomEpisodes, phantom_dataset
from medshot.data.phantoms.episodes import Pictures
from medshot.evaluation.report import Protocol, Report
from medshot.evaluation.run import Result, evaluate
from medshot.evaluation.summarise import (
    confusion_of,
    examples_of,
    from_episodes,
    provenance_of,
    reliability_of,
    support_of,
)
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.tasks import Classification
from medshot.training.loop import train
from medshot.training.progress import bar

WAY, SHOT, QUERY, SIZE = 4, 5, 10, 64
QUERIES_A_CLASS = 25
VAL_EPISODES = 30


@dataclass(frozen=True)
class Done:
    """What the demonstration made."""

    report: Report
    support: Path
    queries: Path
    model: Path
    labels: tuple[str, ...]


class Once:
    """Episodes of phantoms drawn once, however many learners they judge."""

    def __init__(self, source: PhantomEpisodes) -> None:
        self.source = source
        self._drawn: dict[int, Pictures] = {}

    def episode(self, i: int) -> Episode:
        """Episode `i`."""
        if i not in self._drawn:
            self._drawn[i] = self.source.pictures(i)
        return self.source.cut(self._drawn[i])

    def describe(self) -> dict[str, Any]:
        """As the phantoms."""
        return self.source.describe()

    def fingerprint(self, episodes: int) -> str:
        """As the phantoms."""
        return self.source.fingerprint(episodes)


def demonstrate(out: Path, steps: int, episodes: int, command: str) -> Done:
    """Meta-train, adapt, judge; leave folders of real files behind."""
    learner = _meta_trained(out / "run", steps)
    support_folder, query_folder = _write_task(out)
    support, queries = load_one(support_folder), load_one(query_folder)
    predictor = learner.adapt(support)
    predictor.save(out / "model")
    judged = _judged(learner, episodes)
    report = _report(support, queries, predictor, judged, command)
    return Done(report, support_folder, query_folder, out / "model", support.labels)


def _meta_trained(folder: Path, steps: int) -> Learner:
    torch.manual_seed(0)
    network = encoder("conv4", width=32, halve="stride")
    learner = build("prototypical", encoder=network, distance="mean-squared")
    taught = PhantomEpisodes(WAY, SHOT, QUERY, SIZE, "train", seed=0)
    val = Once(PhantomEpisodes(WAY, SHOT, QUERY, SIZE, "train", seed=1))
    return train(
        learner,
        taught,
        val=val,
        out=folder,
        steps=steps,
        val_every=max(1, steps // 6),
        val_episodes=VAL_EPISODES,
        watch=bar,
    ).learner


def _write_task(out: Path) -> tuple[Path, Path]:
    """A task of the unseen kinds as folders of PNGs: the support, and queries of other patients."""
    task = PhantomEpisodes(WAY, SHOT, QUERY, SIZE, "unseen", seed=2).task(0)
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


def _judged(learner: Learner, episodes: int) -> dict[str, Result]:
    """The learner and the baseline on the same unseen tasks."""
    source = Once(PhantomEpisodes(WAY, SHOT, QUERY, SIZE, "unseen", seed=3))
    encoders = encoder("pixels", reduce=2), learner.encoder
    probes = [build("linear-probe", encoder=each) for each in encoders]
    probes[1].origin = learner.origin  # of the encoder that the two share
    judged = [learner, *probes]
    return {
        describe(each): evaluate(
            each,
            source,
            episodes=episodes,
            name=describe(each),
            tick=lambda items: progress("judge on unseen tasks", items, "episode"),
        )
        for each in judged
    }


@torch.no_grad()
def _report(
    support: Dataset,
    queries: Dataset,
    predictor: Predictor,
    judged: dict[str, Result],
    command: str,
) -> Report:
    first = next(iter(judged.values()))
    card = predictor.known_card()
    odds = card.task.decode(predictor(queries.examples().x).double()).numpy()
    y = queries.y.numpy()
    table, differences = from_episodes(judged, Classification(WAY))
    episodes = first.episodes
    return Report(
        title="Demonstration on phantoms",
        support=support_of(support),
        metrics=table,
        differences=differences,
        confusion=confusion_of(queries.labels, odds, y),
        reliability=reliability_of(odds, y),
        examples=examples_of(queries, odds),
        examples_note=(
            f"From {len(queries)} new images of the task above, all of other patients. Half of "
            "those shown are wrong ones where there are as many."
        ),
        warnings=("Phantoms are drawn by a program. The numbers say nothing about real images.",),
        protocol=Protocol(
            name="phantoms, kinds of task never seen in meta-training",
            episodes=int(episodes["count"]),
            way=WAY,
            shot=SHOT,
            query=QUERY,
            seed=int(episodes["seed"]),
            episodes_hash=str(episodes["fingerprint"]),
            transductive=first.transductive,
        ),
        provenance=provenance_of(card, {"distance": "mean-squared"}, command),
    )
