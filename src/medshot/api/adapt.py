"""Adaptation to a folder of labeled images, with cross-validated scores and a report."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from medshot.api.cost import cost, expected, fits, within
from medshot.api.doubts import advice, report_warnings
from medshot.api.resolve import (
    automatic,
    describe,
    ended_early,
    refuse_transductive,
    run_or_learner,
    training_data_of,
)
from medshot.core import (
    Card,
    ConfigError,
    DataError,
    LeakError,
    Learner,
    Predictor,
    Table,
    Tabular,
    described,
)
from medshot.core.atomic import new_folder
from medshot.data.checks.labels import image_doubts, strays
from medshot.data.dataset import Dataset
from medshot.data.join import joined
from medshot.data.load import load_one
from medshot.data.multimodal import keeping
from medshot.data.readers.registry import kind_of
from medshot.evaluation.cross_validation import OutOfFold, cross_validate, even_folds
from medshot.evaluation.episodes import refuse_seen
from medshot.evaluation.report import Report, summary_sentence, write_report
from medshot.evaluation.report.build import from_folds, provenance_of
from medshot.evaluation.report.model import Estimate
from medshot.factory import NONE, finetuned
from medshot.presenters import kind_called
from medshot.selection import Auto
from medshot.selection.choice import Folds
from medshot.stages.finetune.learner import Tuned
from medshot.training.device import limit_threads
from medshot.training.progress import Watch, counting_fits, quiet

AUTO = "auto"
FEW = 30


@dataclass(frozen=True, eq=False)
class Adaptation(Tabular):
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
        """Write the predictor, and the report as report.html, to a new folder, atomically.

        Raises:
            SaveError: the folder exists already, or cannot be written.
        """
        with new_folder(Path(folder)) as staging:
            self.save_into(staging)
        return Path(folder)

    def save_into(self, staging: Path) -> None:
        """Write predictor and report to a folder that `new_folder` is making."""
        self.predictor.save(staging)
        write_report(self.report, staging / "report.html")

    def table(self) -> Table:
        """The summary and the scores, as the report has them."""
        return self.report.table()

    def __str__(self) -> str:
        return self.report.summary


def adapt(
    data: Dataset | str | Path | Sequence[Dataset | str | Path],
    learner: str | Learner = AUTO,
    finetune: str | None = None,
    *,
    encoder: str | None = None,
    task: str | None = None,
    options: Sequence[str] = (),
    modalities: str | None = None,
    skip_bad: bool = False,
    ignore_value: int | None = None,
    point_size: float | None = None,
    budget: float | None = None,
    out: str | Path | None = None,
    command: str = "",
    threads: int | None = 1,
    watch: Callable[[str], Watch] = lambda what: quiet,
    tell: Callable[[str], None] = lambda said: None,
) -> Adaptation:
    """Learn from a folder of labeled images, or a data set, and score it on patients left out.

    Of several folders, all images are learned from; of an image that is in several of them, the
    last one's label, mask or boxes count, so that a folder of corrections follows the first.

    `learner` is `auto`, a name of `medshot learners`, the folder of a run, or a learner; `encoder`
    and `options` (`name=value`) are as the command takes them, and not for a run or a learner that
    is made already. `finetune` is a method of `medshot finetune`, or `auto`; nothing is fine-tuned
    where it is None. With `skip_bad`, lines and files that cannot be used are left out, and named
    in the report. Pixels of masks with `ignore_value` have no label: so masks may be scribbles.
    Objects that are marked by points are `point_size` pixels across (None: estimated).
    With `budget`, in seconds, `auto` also tries what takes minutes (a U-Net for masks), and leaves
    out what does not fit. The result is saved to the new folder `out`, which is refused before any
    work if it exists. `watch` shows the predictors that are fitted, and `tell` is called with the
    time that it will take, where that is long. One thread an operation is quick for few images
    (`threads=None`: as PyTorch is set).

    Raises:
        ConfigError: an unknown learner, encoder, option or method; a budget without `auto`, or
            with `finetune`.
        DataError: images that cannot be used, by their file's name.
        SaveError: a learner whose predictors cannot be saved; `out` exists or cannot be written.
    """
    several = [data] if isinstance(data, Dataset | str | Path) else list(data)
    if not several:
        raise DataError("Name one folder at least.")
    kinds = [d.kind if isinstance(d, Dataset) else kind_of(Path(d), task) for d in several]
    kind = kinds[0]
    few = nullcontext() if threads is None else limit_threads(threads)
    place = nullcontext() if out is None else new_folder(Path(out))
    with few, place as staging, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # untrained weights: the same images give the same predictor
        made = _made(learner, encoder, options, kind, slow=budget is not None)
        if budget is not None:
            _check_budget(made, budget, finetune)
        refuse_transductive(made)
        made = finetuned(made, finetune or NONE)
        form: dict[str, Any] = {n: getattr(made.encoder, n, None) for n in ("channels", "size")}
        how = {"skip_bad": skip_bad, "ignore_value": ignore_value, "point_size": point_size}
        dataset = joined(
            [
                each if isinstance(each, Dataset) else _read(Path(each), own, **form, **how)
                for each, own in zip(several, kinds, strict=True)
            ]
        )
        if modalities is not None:
            dataset = keeping(dataset, [kind.strip() for kind in modalities.split(",")])
        if budget is None or not isinstance(made, Auto):
            costs = cost(made, dataset)
        else:
            made, costs = within(made, dataset, budget)
            dataset = replace(dataset, notes=(*dataset.notes, f"{costs.said}."))
        if costs.said:
            tell(costs.said)
        if isinstance(learner, str) and (early := ended_early(learner)):
            dataset = replace(dataset, notes=(early, *dataset.notes))
        seen: Sequence[Mapping[str, Any]] = training_data_of(
            learner if isinstance(learner, str) else "", made
        )
        found = Adaptation(*adapted(made, dataset, command, seen, watch, costs.seconds))
        if staging is not None:
            found.save_into(staging)
        return found


def _read(folder: Path, task: str, **options: Any) -> Dataset:
    return with_doubts(load_one(folder, task=task, **options), folder)


def with_doubts(dataset: Dataset, folder: Path) -> Dataset:
    """`dataset`, with what `medshot data check` finds on its images among its notes.

    So are files of `folder` in a format that is not read, where its images have labels.
    """
    doubts = image_doubts(dataset.rows)
    if any(row.label for row in dataset.rows):
        doubts += [each for each in strays(folder, dataset.rows) if each.severity == "warning"]
    said = (doubt.sentence for doubt in doubts)
    return replace(dataset, notes=tuple(dict.fromkeys((*said, *dataset.notes))))


def _made(
    learner: str | Learner,
    encoder: str | None,
    options: Sequence[str],
    kind: str,
    *,
    slow: bool = False,
) -> Learner:
    if isinstance(learner, Learner):
        return learner
    if learner == AUTO:
        return automatic(encoder, options, kind, slow=slow)
    return run_or_learner(learner, encoder, options, kind)


def _check_budget(learner: Learner, budget: float, finetune: str | None) -> None:
    if not (isinstance(learner, Auto) and budget > 0) or (finetune or NONE) != NONE:
        raise ConfigError(
            f"budget={budget:g}: give some time, and to `auto` without fine-tuning, which leaves "
            "out what does not fit into it; all else takes what it takes."
        )


def adapted(
    learner: Learner,
    dataset: Dataset,
    command: str,
    seen: Sequence[Mapping[str, Any]] = (),
    watch: Callable[[str], Watch] = lambda what: quiet,
    seconds: Mapping[str, float] | None = None,
    folds: Folds | None = None,
) -> tuple[Predictor, Report]:
    """Adapt `learner` to all of `dataset`, and say how well it does on patients left out.

    `seen` is what the learner or its encoder was trained on, as `run.json` says it; `watch` shows
    the predictors that are fitted, which take about these `seconds` each. `folds` are those of a
    search before; by default they are at most 5, of equal shares of the classes.
    """
    warnings = [*_seen(dataset, seen), *dataset.notes, *_warnings(dataset)]
    validated: dict[str, OutOfFold] = {}
    learners = _with_baselines(learner, dataset)
    shown = watch(f"adapting to {dataset.name}")
    with counting_fits(shown, *_planned(learners, dataset, seconds or {}), seconds):
        try:
            validated = {
                name: cross_validate(each, dataset, folds=folds) for name, each in learners.items()
            }
        except DataError as error:
            warnings.insert(0, f"How well this does could not be measured. {error}")
        with torch.no_grad():
            chosen = _chosen(learner, dataset)
            predictor = chosen.adapt(dataset)
        doubts = kind_called(dataset.kind).doubts(dataset, predictor)
    card = predictor.known_card()
    measured = _scores_shown(dataset, validated) if validated else {}
    control = kind_called(dataset.kind).control
    behind = report_warnings(measured, describe(chosen), control, advice(learners, command))
    report = Report(
        title=f"{dataset.name}: {', '.join(dataset.labels)}",
        support=kind_called(dataset.kind).support(dataset),
        warnings=(*doubts, *behind, *warnings, card.task.caution),
        provenance=provenance_of(card, _options(learner, chosen, card), command),
        **measured,
    )
    summary = summary_sentence(report) + _choice(learner, chosen, bool(validated))
    return predictor, replace(report, summary=summary)


def _seen(dataset: Dataset, seen: Sequence[Mapping[str, Any]]) -> list[str]:
    try:
        refuse_seen(dataset, seen)
    except LeakError as error:
        return [f"Its scores here are too good. {error}"]
    return []


def _with_baselines(learner: Learner, dataset: Dataset) -> dict[str, Learner]:
    """The learner, what it fine-tunes, and the task's simple baselines, by name."""
    form = {name: getattr(dataset.preprocessing, name) for name in ("channels", "size")}
    wanted = [learner, learner.learner] if isinstance(learner, Tuned) else [learner]
    learners = {describe(each): each for each in wanted}
    for probe in kind_called(dataset.kind).baselines(**form):
        learners.setdefault(describe(probe), probe)
    return learners


def _planned(
    learners: Mapping[str, Learner], dataset: Dataset, seconds: Mapping[str, float]
) -> tuple[int, float]:
    """Number of predictors that will be fitted, and the seconds that they are expected to take."""
    folds = len(even_folds(dataset.present_classes(), dataset.groups))
    first, *others = learners.values()
    planned = [(first, 1 + folds), *((each, folds) for each in others)]
    total = sum(n * fits(each) for each, n in planned)
    return total, sum(n * expected(each, seconds) for each, n in planned)


def _auto(learner: Learner) -> Auto | None:
    inner = learner.learner if isinstance(learner, Tuned) else learner
    return inner if isinstance(inner, Auto) else None


def _chosen(learner: Learner, dataset: Dataset) -> Learner:
    if not isinstance(learner, Auto | Tuned):
        return learner
    support, card = dataset.support(learner.encoder)
    return learner.choose(support, card.task)


def _choice(learner: Learner, chosen: Learner, validated: bool) -> str:
    auto = _auto(learner)
    if auto is None:
        return ""
    if len(auto.candidates) == 1:
        return f" For such images auto takes {describe(chosen)}."
    score = (
        " The score is that of choosing and then learning: in each fold the choice was made anew, "
        "on fewer images, and may have been another."
    )
    chose = (
        f" From all images, of {len(auto.candidates)} candidates, auto chose {describe(chosen)}."
    )
    return score + chose if validated else chose


def _scores_shown(dataset: Dataset, validated: dict[str, OutOfFold]) -> dict[str, Any]:
    first = next(iter(validated.values()))
    table, differences = from_folds(validated, "patient" if dataset.has_patients else "image")
    shown = kind_called(dataset.kind).shown(dataset, first, _unseen(dataset, first))
    table = replace(table, baseline=len(validated) == 1)
    return {"metrics": table, "differences": differences, **shown}


def _unseen(dataset: Dataset, first: OutOfFold) -> str:
    left_out = "its patient" if dataset.has_patients else "it"
    how = f"({first.folds}-fold cross-validation)"
    return f"Each image was predicted by a predictor that had not seen {left_out} {how}."


def _warnings(dataset: Dataset) -> list[str]:
    few = f"Only {len(dataset)} images: the intervals are wide, and so is the truth."
    found = [few] if len(dataset) < FEW else []
    return [*found, *kind_called(dataset.kind).warnings(dataset)]


def _options(learner: Learner, chosen: Learner, card: Card) -> dict[str, str]:
    inner = chosen.learner if isinstance(chosen, Tuned) else chosen
    options = {k: str(v) for k, v in described(inner)["options"].items() if k != "encoder"}
    if isinstance(chosen, Tuned):
        settings = ", ".join(f"{name} {value}" for name, value in chosen.settings.items())
        stage = card.stages[-1] if card.stages else {}
        options["fine-tuned"] = f"{chosen.what}: {settings}"
        if stage.get("kept") is False:
            options["fine-tuned"] = f"no: {stage.get('why', 'it did not help on images left out')}"
    return {"chosen by auto": describe(chosen), **options} if learner is not chosen else options
