"""Contract of stages: from a predictor (or several) and data to another predictor."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from medshot.core import Card, Examples, Predictor, load_predictor
from medshot.data.arrays import dataset
from medshot.data.dataset import Dataset
from medshot.learners.registry import build
from medshot.stages.base import STAGES, Stage, stage
from medshot.testing import problems
from medshot.testing.learner import require, run_check

Given = Predictor | Sequence[Predictor]  # several, for a stage that takes several
Run = Callable[..., Predictor]  # of the given predictor(s), and examples


def check_stage(
    run: Run | Stage | type[Stage] | str,
    *,
    predictor: Given | None = None,
    examples: Examples | None = None,
    **options: Any,
) -> None:
    """Test that a stage, a name or class with its options or a function, keeps the contract.

    A function takes a predictor and examples; bind its options first:
    `check_stage(partial(medshot.harden, steps=2))`. By default the input is a linear classifier of
    three classes on a small network (two of them, if the stage takes `several`), and images from
    the same distribution as its support.

    Raises:
        AssertionError: the contract is broken; the message says where.
        MedshotError: the stage rejected its input, or there is no such stage or option.
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
    """Cache of a stage: runs at the first call, then returns the same result."""

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
    """Images of three classes, and two predictors adapted to images like these."""
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
    """The input predictor and the examples are not changed."""
    members = _members(given)
    before = [{n: t.clone() for n, t in each.state_dict().items()} for each in members]
    cards, x, y = [each.known_card() for each in members], shown.x.clone(), shown.y.clone()
    after = run(given, shown)
    require(
        all(after is not each for each in members), "It returned the same object: return a copy."
    )
    states = [dict(each.state_dict()) for each in members]
    torch.testing.assert_close(states, before, rtol=0, atol=0)
    torch.testing.assert_close((shown.x, shown.y), (x, y), rtol=0, atol=0)
    stays = all(each.known_card() == card for each, card in zip(members, cards, strict=True))
    require(stays, "It changed the card of its input.")


def gives_a_predictor(run: _Once, given: Given, shown: Examples) -> None:
    """It returns a frozen predictor for the same task, with finite outputs."""
    after = run(given, shown)
    require(isinstance(after, Predictor), f"It returned {type(after).__name__}, no Predictor.")
    require(
        not any(t.requires_grad for t in (*after.parameters(), *after.buffers())),
        "A tensor requires a gradient: return `predictor.freeze()`.",
    )
    require(not any(m.training for m in after.modules()), "A module is in train mode.")
    output = after(shown.x)
    wanted = (len(shown), _members(given)[0].known_card().task.n_outputs)
    require(output.shape[:2] == wanted, f"Shape {tuple(output.shape)} must start with {wanted}.")
    require(bool(output.isfinite().all()), "Not all outputs are finite.")


def can_be_repeated(run: _Once, given: Given, shown: Examples) -> None:
    """The stage is deterministic: equal inputs give equal predictors."""
    first, again = (made(given, shown)(shown.x) for made in (run, run.run))
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def notes_itself_on_the_card(run: _Once, given: Given, shown: Examples) -> None:
    """The card records the stage after the earlier ones, and keeps the labels.

    A predictor made from several starts a new list of stages, whose first one names them as
    `members`.
    """
    first, after = _members(given)[0].known_card(), run(given, shown).known_card()
    require(after.labels == first.labels, "The labels have changed.")
    before = first.stages if isinstance(given, Predictor) else ()
    require(
        len(after.stages) > len(before)
        and after.stages[: len(before)] == before
        and all("stage" in each for each in after.stages),
        "Give the predictor `card.after('NAME', ...)`, with its settings.",
    )
    named = isinstance(given, Predictor) or len(after.stages[0].get("members", ())) == len(given)
    require(named, "The first stage must name all inputs as `members`.")


def can_be_saved(run: _Once, given: Given, shown: Examples) -> None:
    """A predictor that is saved and loaded gives bit-identical outputs."""
    after = run(given, shown)
    with tempfile.TemporaryDirectory() as place:
        loaded = load_predictor(after.save(Path(place) / "model"))
    torch.testing.assert_close(loaded(shown.x), after(shown.x), rtol=0, atol=0)


def notes_its_name(name: str, run: _Once, given: Given, shown: Examples) -> None:
    """The last stage on the card has the name of the stage; of a chain, of its last step."""
    said = run(given, shown).known_card().stages[-1]["stage"]
    step = said in STAGES and not STAGES[said].command
    require(step or said == name, f"The card says {said!r}, and not {name!r}.")


def takes_a_dataset(data: Dataset, run: _Once, given: Given, shown: Examples) -> None:
    """A data set gives the same result as its images passed as examples."""
    made, wanted = run.run(given, data), run(given, shown)
    torch.testing.assert_close(made(shown.x), wanted(shown.x), rtol=0, atol=0)


CHECKS = (
    leaves_predictor_alone,
    gives_a_predictor,
    can_be_repeated,
    notes_itself_on_the_card,
    can_be_saved,
)
