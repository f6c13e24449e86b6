"""How well a predictor does under attack and on corrupted images: `medshot.robustness`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medshot.core import Predictor, load_predictor
from medshot.data.dataset import Dataset
from medshot.data.load import images_for, in_form
from medshot.stages.robustness.corruption import corruptions as corrupt
from medshot.stages.robustness.evaluate import QUERIES, STEPS, Robustness
from medshot.stages.robustness.evaluate import robustness as measured
from medshot.stages.robustness.threat_model import ThreatModel, read_epsilon
from medshot.training.progress import Watch, quiet

USUAL = {
    "l2": ("0.25", "0.5", "1", "2"),
    "linf": ("1/255", "2/255", "4/255", "8/255"),
}


def robustness(
    model: Predictor | str | Path,
    data: Dataset | str | Path,
    *,
    epsilon: Sequence[float | str] = (),
    norm: str = "linf",
    corruptions: bool = False,
    steps: int = STEPS,
    queries: int = QUERIES,
    seed: int = 0,
    watch: Callable[[str], Watch] = lambda what: quiet,
) -> Robustness:
    """Measure a predictor on attacked images: FGSM, PGD and, as a check, the square attack.

    `epsilon` is how far values in [0, 1] may be changed, numbers or text as "4/255"; the usual
    four if none is given. With `corruptions` also on noise, blur, light and others in severities 1
    to 5. The images must be others than it learned from, or the scores flatter it.

    Raises:
        ConfigError: an epsilon that cannot be, or an unknown norm.
        DataError: images that cannot be used, or with labels that the predictor does not know.
        TaskError: the predictor takes volumes.
    """
    started = time.monotonic()
    predictor = model if isinstance(model, Predictor) else load_predictor(model)
    given = budgets(epsilon, norm)
    card = predictor.known_card()
    images = in_form(card, data) if isinstance(data, Dataset) else images_for(card, Path(data))
    numbers: dict[str, Any] = {"steps": steps, "queries": queries, "seed": seed}
    found = measured(predictor, images, given, **numbers, watch=watch("attack"))
    if corruptions:
        worse = corrupt(predictor, images, seed=seed, watch=watch("corrupt"))
        found = replace(found, corrupted=worse)
    where = images.name if isinstance(data, Dataset) else str(data)
    about: dict[str, Any] = {"data": images.about(), **numbers, "signs": found.signs}
    notes: tuple[str, ...] = ()
    if card.data.get("hash") == images.hash:
        notes = (f"The model has learned from {where}: what it scores there flatters it.",)
    name = "score"
    if not isinstance(model, Predictor):
        name, about = Path(model).name, {"model": str(model), **about}
    about["seconds"] = time.monotonic() - started
    return replace(found, name=name, data=where, about=about, notes=notes)


def budgets(epsilon: Sequence[float | str], norm: str) -> list[ThreatModel]:
    """Threat models for the given epsilons, without duplicates; defaults of the norm otherwise."""
    wanted = epsilon or USUAL.get(norm, USUAL["linf"])
    sizes = (read_epsilon(each) if isinstance(each, str) else each for each in wanted)
    return list(dict.fromkeys(ThreatModel(size, norm) for size in sizes))
