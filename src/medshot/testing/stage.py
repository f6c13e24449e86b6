"""What every stage promises: from a predictor and examples to another predictor."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from medshot.core.episode import Examples
from medshot.core.predictor import Predictor, load_predictor
from medshot.core.task import Card
from medshot.data.transforms import ImagePreprocessing
from medshot.learners.registry import build
from medshot.testing import problems
from medshot.testing.promise import require, run_check

Stage = Callable[[Predictor, Examples], Predictor]


def check_stage(
    stage: Stage, *, predictor: Predictor | None = None, examples: Examples | None = None
) -> None:
    """Run the contract on a stage: a function of a predictor and examples.

    Bind its options before: `check_stage(partial(medshot.harden, steps=2))`. If not told, it is
    shown a linear classifier of three classes on a small network, and the images that taught it.

    Raises:
        AssertionError: a promise is broken; the message says which.
        MedshotError: the stage refused what it was shown.
    """
    shown, taught = _example()
    predictor, examples = predictor or taught, examples or shown
    for check in CHECKS:
        run_check(check, stage, predictor, examples, who=getattr(stage, "__name__", repr(stage)))


def _example() -> tuple[Examples, Predictor]:
    task = problems.task_of("classification")
    found = problems.episode(task).support
    low, high = found.x.min(), found.x.max()
    shown = replace(found, x=(found.x - low) / (high - low))
    form = ImagePreprocessing(1, problems.SIZE)
    card = Card(task, ("class 0", "class 1", "class 2"), form, {"name": "toy"})
    learner = build("ridge", encoder=problems.encoder(task))
    return shown, learner.adapt(shown, task).freeze().with_card(card)


def leaves_predictor_alone(stage: Stage, predictor: Predictor, shown: Examples) -> None:
    """The predictor that it is given, and the examples, stay as they are."""
    before = {name: value.clone() for name, value in predictor.state_dict().items()}
    stages, x, y = predictor.known_card().stages, shown.x.clone(), shown.y.clone()
    after = stage(predictor, shown)
    require(after is not predictor, "It gave back the same object: give a copy.")
    torch.testing.assert_close(dict(predictor.state_dict()), before, rtol=0, atol=0)
    torch.testing.assert_close((shown.x, shown.y), (x, y), rtol=0, atol=0)
    require(predictor.known_card().stages == stages, "It changed the card that it was given.")


def gives_a_predictor(stage: Stage, predictor: Predictor, shown: Examples) -> None:
    """It gives a frozen predictor for the same task, whose outputs are finite."""
    after = stage(predictor, shown)
    require(isinstance(after, Predictor), f"It gave {type(after).__name__}, no Predictor.")
    require(
        not any(t.requires_grad for t in (*after.parameters(), *after.buffers())),
        "A tensor asks for a gradient: give `predictor.freeze()`.",
    )
    require(not any(m.training for m in after.modules()), "A module is in train mode.")
    output = after(shown.x)
    wanted = (len(shown), predictor.known_card().task.n_outputs)
    require(output.shape[:2] == wanted, f"Shape {tuple(output.shape)} must begin with {wanted}.")
    require(bool(output.isfinite().all()), "Not all outputs are finite.")


def can_be_repeated(stage: Stage, predictor: Predictor, shown: Examples) -> None:
    """The same predictor and examples give the same predictor."""
    first, again = (stage(predictor, shown)(shown.x) for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def notes_itself_on_the_card(stage: Stage, predictor: Predictor, shown: Examples) -> None:
    """The card says that the stage was run, after those before, and what labels there are."""
    before, after = predictor.known_card(), stage(predictor, shown).known_card()
    require(after.labels == before.labels, "The labels are others.")
    require(
        len(after.stages) > len(before.stages)
        and after.stages[: len(before.stages)] == before.stages
        and all("stage" in each for each in after.stages),
        "Give the predictor `card.after('NAME', ...)`, with its settings.",
    )


def can_be_saved(stage: Stage, predictor: Predictor, shown: Examples) -> None:
    """What was saved and loaded again gives the same numbers to the bit."""
    after = stage(predictor, shown)
    with tempfile.TemporaryDirectory() as place:
        loaded = load_predictor(after.save(Path(place) / "model"))
    torch.testing.assert_close(loaded(shown.x), after(shown.x), rtol=0, atol=0)


CHECKS = (
    leaves_predictor_alone,
    gives_a_predictor,
    can_be_repeated,
    notes_itself_on_the_card,
    can_be_saved,
)
