"""Fuse several predictors, or snapshots of one run (cyclic learning rate), into one."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core import (
    Card,
    ConfigError,
    DataError,
    Examples,
    Predictor,
    TaskError,
    freeze_copy,
    unfreeze_copy,
    unknown,
)
from medshot.data.dataset import Dataset
from medshot.nn.ensemble import Ensemble, EnsembleMembers, Form, Stacked
from medshot.stages.fuse.weights import (
    equal_scores,
    fit_map,
    fit_scores,
    greedy_soup,
    groups_of,
    outputs_of,
    shown_in,
    soup,
)
from medshot.training.progress import Watch, quiet
from medshot.training.trainer import batch_of, descend

FORM = ("channels", "size")  # preprocessing options in which members may differ


def agreed(members: Sequence[Predictor]) -> list[Card]:
    """Check that all members are compatible, and return their cards.

    Raises:
        ConfigError: fewer than two members.
        DataError: different labels, or different preprocessing.
        TaskError: different tasks, or a task whose outputs cannot be averaged.
    """
    if len(members) < 2:
        raise ConfigError(f"Fusing takes at least two predictors, not {len(members)}.")
    cards = [member.known_card() for member in members]
    for i, card in enumerate(cards[1:], 2):
        _refuse_other(cards[0], card, i)
    link_of(cards[0])
    return cards


def link_of(card: Card) -> str:
    """Link function by which outputs of the card's task are averaged."""
    if card.task.link is None:
        raise TaskError(
            f"Outputs for {card.task.kind} cannot be averaged: boxes of several predictors do not "
            "correspond. Keep the best one (`medshot predict` with each)."
        )
    return card.task.link


def forms_of(cards: Sequence[Card]) -> list[Form]:
    """Channels and size of each member's images; empty where all are the same."""
    found = [tuple(getattr(card.preprocessing, name, None) for name in FORM) for card in cards]
    if len(set(found)) == 1:
        return [()] * len(cards)
    if cards[0].task.from_image or cards[0].preprocessing.dims != 2:
        raise DataError(
            "The predictors take images of other channels or sizes, and for "
            f"{cards[0].kind} all must take the same. Adapt them on encoders of equal input."
        )
    return [(int(channels or 0), int(size or 0)) for channels, size in found]


def fused_card(cards: Sequence[Card], how: str, **settings: Any) -> Card:
    """Card of the fused predictor: the largest image size, and the data of all members."""
    form: Any = cards[0].preprocessing
    for name in FORM:
        sizes: set[Any] = {getattr(card.preprocessing, name, None) for card in cards}
        form = replace(form, **{name: max(sizes)}) if len(sizes) > 1 else form
    names = [_called(card) for card in cards]
    card = replace(cards[0], preprocessing=form, data=_data(cards), learner={}, stages=())
    return card.after("fuse", how=how, members=names, **settings)


def refuse_training_data(cards: Sequence[Card], dataset: Dataset) -> None:
    """Raise `DataError` if a member was trained on this data set.

    Its outputs there are optimistic, and fitted weights would favor the member that overfits most.
    A subset of the images in another folder is not recognized.
    """
    for i, card in enumerate(cards, 1):
        if dataset.hash in str(card.data.get("hash", "")).split(" + "):
            raise DataError(
                f"{dataset.name} holds the very images that model {i} learned from, so weights "
                "fitted on them would flatter the one that remembers best. Give images that none "
                "has seen, or fuse without fitting (`mean`)."
            )


def _refuse_other(first: Card, card: Card, i: int) -> None:
    if card.kind != first.kind:
        raise TaskError(f"Model 1 does {first.kind}, and model {i} {card.kind}.")
    if card.labels != first.labels:
        raise DataError(
            f"Model 1 knows {', '.join(first.labels)}, and model {i} "
            f"{', '.join(card.labels)}. Only models of the same labels can be fused."
        )
    if card.task != first.task:
        raise TaskError(
            f"Models 1 and {i} both do {card.kind}, but in other units ({first.task} and "
            f"{card.task}). Adapt both to the same images."
        )
    same_way = type(card.preprocessing) is type(first.preprocessing) and _rest(card) == _rest(first)
    if not same_way:
        raise DataError(
            f"Models 1 and {i} read files in other ways ({first.preprocessing} and "
            f"{card.preprocessing}). Adapt both to folders of one kind."
        )


def _rest(card: Card) -> dict[str, Any]:
    form: Any = card.preprocessing
    return {f.name: getattr(form, f.name) for f in fields(form) if f.name not in FORM}


def _called(card: Card) -> str:
    """Description of a member: `lda on conv4 (untrained) from my_images, then finetune`."""
    made = card.learner.get("learner", {})
    encoder = made.get("options", {}).get("encoder") or {}
    name, on = (str(each.get("part", "/unknown")).partition("/")[2] for each in (made, encoder))
    how = f"{name} on {on} ({card.learner.get('origin', 'unknown')})"
    return ", then ".join([f"{how} from {card.data.get('name', 'unknown')}", *_stages(card)])


def _stages(card: Card) -> list[str]:
    return [str(stage["stage"]) for stage in card.stages]


def _data(cards: Sequence[Card]) -> dict[str, Any]:
    """Training data of all members; a folder shared by several counts once."""
    once = {str(card.data.get("hash", i)): card.data for i, card in enumerate(cards)}
    if len(once) == 1:
        return dict(cards[0].data)
    sources = list(once.values())
    labels = {label for data in sources for label in data.get("images", {})}
    counts = {label: sum(d.get("images", {}).get(label, 0) for d in sources) for label in labels}
    joined = {n: " + ".join(str(d.get(n, "")) for d in sources) for n in ("name", "hash")}
    licences = " + ".join(sorted({str(d.get("licence", "not stated")) for d in sources}))
    images = dict(sorted(counts.items()))
    files = sorted({file for data in sources for file in data.get("files", ())})
    rest = {"patients": "not known", "licence": licences, "files": files}
    return {**joined, "images": images, **rest}


FITTED = ("weighted", "stack", "greedy-soup")  # these need images that no member was trained on
HOWS = ("mean", "soup", *FITTED)


def fuse(
    predictors: Sequence[Predictor],
    images: Dataset | Examples | None = None,
    *,
    how: str = "mean",
    watch: Watch = quiet,
) -> Predictor:
    """Fuse `predictors` into one; they are not changed.

    `mean` averages their decoded outputs (probabilities, or numbers), `weighted` uses weights that
    are fitted to `images`, `stack` fits a linear map. `soup` averages the parameters of networks
    of one architecture, `greedy-soup` of those that help on `images`. Fitted methods need images
    that no member was trained on.

    Raises:
        ConfigError: fewer than two predictors, an unknown `how`, or no images to fit to.
        DataError: different labels, or images that a member was trained on.
        TaskError: predictors of different tasks, or of one that cannot be fused.
    """
    if how not in HOWS:
        raise unknown(how, HOWS, kind="way to fuse")
    cards = agreed(predictors)
    if how == "soup":
        return soup(predictors).with_card(fused_card(cards, how))
    plain = mean_of(predictors, cards)
    if how not in FITTED:
        return plain
    if images is None:
        raise ConfigError(f"how={how!r} is fitted: give images that no member was trained on.")
    if isinstance(images, Dataset):
        refuse_training_data(cards, images)
    shown = shown_in(images, plain.known_card())
    plain.known_card().task.check(shown.y)
    if how == "greedy-soup":
        found = _greedy(predictors, cards, shown)
    else:
        found = fitted(plain, outputs_of(plain, shown, watch), shown, how)
    about = {"fitted_on": images.name} if isinstance(images, Dataset) else {}
    return found.with_card(_restated(found.known_card(), **about, images=len(shown)))


def mean_of(predictors: Sequence[Predictor], cards: Sequence[Card]) -> Ensemble:
    """Unweighted mean of the outputs of copies of these predictors."""
    frozen = [predictor.freeze() for predictor in predictors]
    found = Ensemble(frozen, forms_of(cards), equal_scores(len(frozen)), link_of(cards[0]))
    found.eval().card = fused_card(cards, "mean")
    return found


def fitted(
    plain: EnsembleMembers, outputs: Float[Tensor, "m n k *s"], shown: Examples, how: str
) -> Predictor:
    """Ensemble of the members of `plain`, weighted or stacked by a fit to their outputs."""
    card, members = plain.known_card(), plain.each()
    y, link = shown.y.cpu(), link_of(card)
    if how == "weighted":
        scores = fit_scores(outputs, y, card.task)
        shares = [round(share, 4) for share in scores.softmax(0).tolist()]
        found: Predictor = Ensemble(members, plain.forms, scores, link)
        return found.eval().with_card(_restated(card, how=how, weights=shares))
    weight, bias = fit_map(outputs, y, groups_of(shown), card.task)
    found = Stacked(members, plain.forms, weight, bias, link)
    return found.eval().with_card(_restated(card, how=how))


def _greedy(predictors: Sequence[Predictor], cards: Sequence[Card], shown: Examples) -> Predictor:
    task = cards[0].task

    def judge(predictor: Predictor) -> float:
        return float(task.loss(predictor.predict_batches(shown.x), shown.y))

    found, chosen = greedy_soup(predictors, judge)
    return found.with_card(fused_card(cards, "greedy-soup", chosen=[i + 1 for i in chosen]))


def _restated(card: Card, **settings: object) -> Card:
    """`card` with other settings of its last stage, which is this one."""
    *before, last = card.stages
    return replace(card, stages=(*before, {**last, **settings}))


def snapshots(
    predictor: Predictor,
    images: Dataset | Examples,
    *,
    cycles: int = 4,
    steps: int = 100,
    lr: float = 1e-3,
    batch: int = 16,
    folder: Path | None = None,
    watch: Watch = quiet,
) -> list[Predictor]:
    """Fine-tune `predictor` on `images` for `cycles` times `steps` steps; a predictor a cycle.

    Source: Huang et al. 2017, arXiv:1704.00109: cosine annealing of the learning rate from `lr`
    to 0 in each cycle. Where we differ: Adam in place of SGD, and training starts from an adapted
    predictor. All weights are trained, including the head. With `folder`, an interrupted run is
    resumed.

    Raises:
        ConfigError: an invalid number.
        TrainingError: the loss is no longer finite: a smaller `lr`.
    """
    if cycles < 2 or steps < 1 or batch < 1:
        raise ConfigError(
            f"cycles={cycles} must be at least 2, steps={steps} and batch={batch} at least 1."
        )
    task, changed = predictor.known_card().task, unfreeze_copy(predictor)
    task.check(images.examples().y if isinstance(images, Dataset) else images.y)
    found = []
    for cycle in range(cycles):

        def loss(step: int, first: int = cycle * steps) -> Tensor:
            some = batch_of(first + step, len(images), batch)
            shown = images.examples(some) if isinstance(images, Dataset) else images[some]
            return task.loss(changed(shown.x), shown.y)

        descend(
            changed,
            loss,
            steps=steps,
            lr=lr,
            rate=lambda step: lr / 2 * (1 + math.cos(math.pi * step / steps)),
            val_every=steps,
            folder=folder / f"cycle-{cycle + 1}" if folder else None,
            settings={"cycles": cycles, "steps": steps, "batch": batch},
            watch=watch,
        )
        with torch.no_grad():
            found.append(freeze_copy(changed))
    return found


def fused_snapshots(predictor: Predictor, images: Dataset | Examples, **options: Any) -> Predictor:
    """The ensemble mean of `snapshots`."""
    link_of(predictor.known_card())  # raises before the work, not after
    found = snapshots(predictor, images, **options)
    cards = [predictor.known_card()] * len(found)
    kept = {name: v for name, v in options.items() if name in ("cycles", "steps", "lr", "batch")}
    return mean_of(found, cards).with_card(fused_card(cards[:1], "snapshots", **kept))
