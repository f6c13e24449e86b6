"""`medshot.fuse`: fuse several predictors into one."""

from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from medshot.core.episode import Examples
from medshot.core.errors import ConfigError, unknown
from medshot.core.predictor import Predictor
from medshot.core.task import Card
from medshot.data.dataset import Dataset
from medshot.nn.ensemble import Ensemble, EnsembleMembers, Stacked
from medshot.stages.fuse.compatibility import (
    agreed,
    forms_of,
    fused_card,
    link_of,
    refuse_learned_from,
)
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
        refuse_learned_from(cards, images)
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
        return float(task.loss(predictor.answer_all(shown.x), shown.y))

    found, chosen = greedy_soup(predictors, judge)
    return found.with_card(fused_card(cards, "greedy-soup", chosen=[i + 1 for i in chosen]))


def _restated(card: Card, **settings: object) -> Card:
    """`card` with other settings of its last stage, which is this one."""
    *before, last = card.stages
    return replace(card, stages=(*before, {**last, **settings}))
