"""From a few labelled images to a predictor and a report: `medshot.adapt`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from medshot.app.choose import automatic, refuse_transductive, run_or_learner, seen_by
from medshot.app.finetuned import NONE, cost, finetuned
from medshot.app.modalities import keeping
from medshot.app.report import adapted
from medshot.app.threads import limited
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.data.readers.registry import kind_of
from medshot.evaluation.report import Report, write_report
from medshot.evaluation.report.scores import Estimate
from medshot.training.progress import Watch, quiet

AUTO = "auto"


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What `adapt` gives: the predictor, and how well its learner does on patients left out.

    `scores` are the metrics of the learner, each with its 95 % interval; there are none where
    nothing could be left out.
    """

    predictor: Predictor
    report: Report

    @property
    def scores(self) -> dict[str, Estimate]:
        """Each metric: `.mean`, `.low`, `.high`, and `.n` patients (or images)."""
        table = self.report.metrics
        return {} if table is None else {row.name: row.estimates[0] for row in table.rows}

    def save(self, folder: str | Path) -> Path:
        """Write the predictor to a new folder, and the report beside its files."""
        place = self.predictor.save(folder)
        write_report(self.report, place / "report.html")
        return place

    def __str__(self) -> str:
        return self.report.summary


def adapt(
    data: Dataset | str | Path,
    *,
    learner: str | Learner = AUTO,
    encoder: str | None = None,
    finetune: str = NONE,
    task: str | None = None,
    options: Sequence[str] = (),
    modalities: str | None = None,
    command: str = "",
    threads: int | None = 1,
    watch: Callable[[str], Watch] = lambda what: quiet,
    tell: Callable[[str], None] = lambda said: None,
) -> Adaptation:
    """Learn from a folder of labelled images, or a data set, and judge it on patients left out.

    `learner` is `auto`, a name of `medshot learners`, the folder of a run, or a learner; `encoder`
    and `options` (`name=value`) are as the command takes them, and not for a run or a learner that
    is made already. `finetune` is a way of `medshot finetune`, or `auto`. `watch` shows the folds
    of what it is called with, and `tell` is told what fine-tuning will cost. `threads` an
    operation are quick for few images (`None`: as PyTorch is set).

    Raises:
        ConfigError: an unknown learner, encoder, option or way.
        DataError: images that cannot be used, by their file's name.
        SaveError: a learner whose predictors cannot be saved.
    """
    kind = data.kind if isinstance(data, Dataset) else kind_of(Path(data), task)
    few = nullcontext() if threads is None else limited(threads)
    with few, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # untrained weights: the same images give the same predictor
        made = _made(learner, encoder, options, kind)
        refuse_transductive(made)
        made = finetuned(made, finetune)
        form: dict[str, Any] = {n: getattr(made.encoder, n, None) for n in ("channels", "size")}
        dataset = data
        if not isinstance(dataset, Dataset):
            dataset = load_one(Path(dataset), **form, task=kind)
        dataset = keeping(dataset, modalities)
        if said := cost(made, dataset):
            tell(said)
        seen: Sequence[Mapping[str, Any]] = seen_by(
            learner if isinstance(learner, str) else "", made
        )
        return Adaptation(*adapted(made, dataset, command, seen, watch))


def _made(
    learner: str | Learner, encoder: str | None, options: Sequence[str], kind: str
) -> Learner:
    if isinstance(learner, Learner):
        return learner
    if learner == AUTO:
        return automatic(encoder, options, kind)
    return run_or_learner(learner, encoder, options, kind)
