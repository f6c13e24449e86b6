"""What every stage promises: from a predictor (or several) and data to another predictor."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from medshot.core.episode import Examples
from medshot.core.predictor import Predictor, load_predictor
from medshot.core.task import Card
from medshot.data.arrays import dataset
from medshot.data.dataset import Dataset
from medshot.learners.registry import build
from medshot.stages.base import STAGES, Stage, stage
from medshot.testing import problems
from medshot.testing.promise import require, run_check

Given = Predictor | Sequence[Predictor]  # several, for a stage that takes several
Run = Callable[..., Predictor]  # of what is given, and examples


def check_stage(
    run: Run | Stage | type[Stage] | str,
    *,
    predictor: Given | None = None,
    examples: Examples | None = None,
    **options: Any,
) -> None:
    """Run the contract on a stage: by its name or class with its options, or as a function.

    A function takes a predictor and examples; bind its options before:
    `check_stage(partial(medshot.harden, steps=2))`. If not told, the stage is shown a linear
    classifier of three classes on a small network (two of them, if it takes `several`), and images
    such as have taught it.

    Raises:
        AssertionError: a promise is broken; the message says which.
        MedshotError: the stage refused what it was shown, or there is no such stage or option.
    """
    made = _made(run, options)
    shown, members = example()
    several = isinstance(made, Stage) and made.several
    given = predictor or (members if several else members[0])
    known = examples or shown.examples()
    who = getattr(made, "name", getattr(made, "__name__", repr(made)))
    once = _Once(made)
    for check in CHECKS:
        run_check(check, once, given, known, who=who)
    if isinstance(made, Stage):
        run_check(partial(notes_its_name, made.name), once, given, known, who=who)
        if examples is None:
            run_check(partial(takes_a_dataset, shown), once, given, known, who=who)


class _Once:
    """A stage that runs when it is first called; what it made is given again after that."""

    def __init__(self, run: Run) -> None:
        self.run, self.made = run, None

    def __call__(self, given: Given, shown: Examples) -> Predictor:
        self.made = self.run(given, shown) if self.made is None else self.made
        return self.made


def _made(run: Run | Stage | type[Stage] | str, options: dict[str, Any]) -> Run | Stage:
    if isinstance(run, str):
        return stage(run, **options)
    return run(**options) if isinstance(run, type) else run


def example() -> tuple[Dataset, list[Predictor]]:
    """Images of three classes, and two predictors that learned from images such as these."""
    task = problems.task_of("classification")
    found = problems.episode(task).support
    low, high = found.x.min(), found.x.max()
    shown = dataset(((found.x - low) / (high - low)).numpy(), found.y.numpy(), name="toy")
    card = Card(task, shown.labels, shown.preprocessing, {"name": "another toy"})
    learner, examples = build("ridge", encoder=problems.conv4(width=16)), shown.examples()
    brighter = replace(examples, x=examples.x.sqrt())
    adapted = (learner.adapt(each, task).freeze() for each in (examples, brighter))
    return shown, [each.with_card(card) for each in adapted]


def _members(given: Given) -> list[Predictor]:
    return [given] if isinstance(given, Predictor) else list(given)


def leaves_predictor_alone(run: _Once, given: Given, shown: Examples) -> None:
    """The predictor that it is given, and the examples, stay as they are."""
    members = _members(given)
    before = [{n: t.clone() for n, t in each.state_dict().items()} for each in members]
    cards, x, y = [each.known_card() for each in members], shown.x.clone(), shown.y.clone()
    after = run(given, shown)
    require(
        all(after is not each for each in members), "It gave back the same object: give a copy."
    )
    states = [dict(each.state_dict()) for each in members]
    torch.testing.assert_close(states, before, rtol=0, atol=0)
    torch.testing.assert_close((shown.x, shown.y), (x, y), rtol=0, atol=0)
    stays = all(each.known_card() == card for each, card in zip(members, cards, strict=True))
    require(stays, "It changed the card that it was given.")


def gives_a_predictor(run: _Once, given: Given, shown: Examples) -> None:
    """It gives a frozen predictor for the same task, whose outputs are finite."""
    after = run(given, shown)
    require(isinstance(after, Predictor), f"It gave {type(after).__name__}, no Predictor.")
    require(
        not any(t.requires_grad for t in (*after.parameters(), *after.buffers())),
        "A tensor asks for a gradient: give `predictor.freeze()`.",
    )
    require(not any(m.training for m in after.modules()), "A module is in train mode.")
    output = after(shown.x)
    wanted = (len(shown), _members(given)[0].known_card().task.n_outputs)
    require(output.shape[:2] == wanted, f"Shape {tuple(output.shape)} must begin with {wanted}.")
    require(bool(output.isfinite().all()), "Not all outputs are finite.")


def can_be_repeated(run: _Once, given: Given, shown: Examples) -> None:
    """The same predictor and examples give the same predictor."""
    first, again = (made(given, shown)(shown.x) for made in (run, run.run))
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def notes_itself_on_the_card(run: _Once, given: Given, shown: Examples) -> None:
    """The card says that the stage was run, after those before, and what labels there are.

    What is made of several predictors begins a new list of stages: its first one names them as
    `members`.
    """
    first, after = _members(given)[0].known_card(), run(given, shown).known_card()
    require(after.labels == first.labels, "The labels are others.")
    before = first.stages if isinstance(given, Predictor) else ()
    require(
        len(after.stages) > len(before)
        and after.stages[: len(before)] == before
        and all("stage" in each for each in after.stages),
        "Give the predictor `card.after('NAME', ...)`, with its settings.",
    )
    named = isinstance(given, Predictor) or len(after.stages[0].get("members", ())) == len(given)
    require(named, "The first stage must name all that were given, as `members`.")


def can_be_saved(run: _Once, given: Given, shown: Examples) -> None:
    """What was saved and loaded again gives the same numbers to the bit."""
    after = run(given, shown)
    with tempfile.TemporaryDirectory() as place:
        loaded = load_predictor(after.save(Path(place) / "model"))
    torch.testing.assert_close(loaded(shown.x), after(shown.x), rtol=0, atol=0)


def notes_its_name(name: str, run: _Once, given: Given, shown: Examples) -> None:
    """The last stage on the card is called as it is; of a chain, as its last step."""
    said = run(given, shown).known_card().stages[-1]["stage"]
    step = said in STAGES and not STAGES[said].command
    require(step or said == name, f"The card says {said!r}, and not {name!r}.")


def takes_a_dataset(data: Dataset, run: _Once, given: Given, shown: Examples) -> None:
    """Of a data set it makes what it makes of the same images as examples."""
    made, wanted = run.run(given, data), run(given, shown)
    torch.testing.assert_close(made(shown.x), wanted(shown.x), rtol=0, atol=0)


CHECKS = (
    leaves_predictor_alone,
    gives_a_predictor,
    can_be_repeated,
    notes_itself_on_the_card,
    can_be_saved,
)
