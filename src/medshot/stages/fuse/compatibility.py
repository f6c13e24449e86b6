"""Compatibility checks of fused predictors, and the card of the result."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from medshot.core.errors import ConfigError, DataError, TaskError
from medshot.core.predictor import Predictor
from medshot.core.task import Card
from medshot.data.dataset import Dataset
from medshot.nn.ensemble import Form

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


def refuse_learned_from(cards: Sequence[Card], dataset: Dataset) -> None:
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
