"""Stage: predictor and data in, predictor out, with declared options and a command of its name.

    class Shrink(Stage):
        "Multiply the weights of the head by a constant.  (the help of `medshot shrink`)"

        name = "shrink"
        by: float = option("What the weights are multiplied by.", default=0.5, min=0)

        def run(self, predictor, data, **work): ...

    Shrink(by=0.9)(predictor, data)
    medshot.stage("shrink", by=0.9)(predictor, data)
    medshot shrink MODEL --data IMAGES --by 0.9 --out SMALLER

The stages of a package of ours are declared in its `stage.py`. Neither those files nor this one
import PyTorch: the command line reads them for its help.
"""

import importlib
import pkgutil
import types
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, dataclass_transform, get_args, get_origin, get_type_hints

from medshot.core.errors import ConfigError, unknown
from medshot.core.lookup import Registry
from medshot.core.plugins import load_entry_points

PACKAGE = __name__.rpartition(".")[0]
STAGES: Registry[type["Stage"]] = Registry("stage", PACKAGE)
SHARED = ("model", "data", "out", "test", "json", "threads")  # what every command of a stage takes
OPTION = "option"  # the key of a field's metadata


@dataclass(frozen=True)
class Option:
    """What is known of one option of a stage: of its keyword, and of its word on a command line."""

    name: str  # of the keyword
    type: Any  # that of a value on the command line; `dict` for NAME=VALUE, repeated
    default: Any
    help: str
    min: int | float | None = None
    max: int | float | None = None
    choices: tuple[str, ...] = ()
    shown: str | None = None  # in the help, in the place of the default

    @property
    def word(self) -> str:
        """The word on the command line: `attack_steps` is `--attack-steps`, `set_` is `--set`."""
        return "--" + self.name.strip("_").replace("_", "-")

    def check(self, value: Any) -> None:
        """Raise `ConfigError` for a value out of bounds; None stands for "not said"."""
        if value is None:
            return
        if self.choices and value not in self.choices:
            raise unknown(str(value), self.choices, kind=f"value of {self.word}")
        if self.min is not None and not value >= self.min:
            raise ConfigError(f"{self.name}={value} must be at least {self.min}.")
        if self.max is not None and not value <= self.max:
            raise ConfigError(f"{self.name}={value} must be at most {self.max}.")


def option(
    help: str,
    *,
    default: Any,
    min: int | float | None = None,
    max: int | float | None = None,
    choices: Sequence[str] = (),
    shown: str | None = None,
) -> Any:
    """Declare an option of a `Stage`: its default, its help, and which values it takes.

    Args:
        help: a line of the command's help.
        default: the value if none is given; its field's annotation says the type.
        min: the least number that is taken.
        max: the largest.
        choices: the words that are taken, if not all.
        shown: what the help says of the default where it is None.
    """
    told = {"help": help, "min": min, "max": max, "choices": tuple(choices), "shown": shown}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata={OPTION: told})
    return field(default=default, metadata={OPTION: told})


@dataclass_transform(kw_only_default=True, field_specifiers=(option, field))
@dataclass(kw_only=True)
class Stage(ABC):
    """A step after adapting: takes a predictor and data, gives another predictor.

    A subclass becomes a dataclass: its annotated attributes are its keyword arguments, and those
    declared with `option` are options of the command, whose help is the class's docstring. With a
    `name` of its own it is registered; importing it is enough.
    """

    name: ClassVar[str]  # of the command, and on the card
    source: ClassVar[str] = ""  # author, year, identifier: noted on the card, and cited
    outcome: ClassVar[str] = "after"  # what tables call the predictor that is made
    several: ClassVar[bool] = False  # True: takes a sequence of predictors
    command: ClassVar[bool] = True  # False: a step of another stage's command
    helps: ClassVar[Mapping[str, str]] = MappingProxyType({})  # of model, data, out, test

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        dataclass(kw_only=True)(cls)
        for each in cls.options():
            if each.word.removeprefix("--") in SHARED:
                raise ConfigError(f"{cls.__name__}.{each.name}: every stage has {each.word}.")
        if "name" in cls.__dict__:
            STAGES[cls.name] = cls

    def __post_init__(self) -> None:
        for each in self.options():
            each.check(getattr(self, each.name))

    @classmethod
    def options(cls) -> list[Option]:
        """The declared options, in order."""
        hints = get_type_hints(cls)
        return [
            Option(
                each.name,
                _typed(hints[each.name]),
                {} if get_origin(hints[each.name]) is dict else each.default,
                **each.metadata[OPTION],
            )
            for each in fields(cls)  # type: ignore[arg-type]
            if OPTION in each.metadata
        ]

    @staticmethod
    def known() -> MappingProxyType[str, type["Stage"]]:
        """The stages of our `stage.py` files, and what else was imported, by name: no PyTorch."""
        for module in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__):
            inside = f"{PACKAGE}.{module.name}"
            parts = importlib.import_module(inside).__path__ if module.ispkg else ()
            if any(part.name == "stage" for part in pkgutil.iter_modules(parts)):
                importlib.import_module(f"{inside}.stage")
        return MappingProxyType(dict(sorted(STAGES.items())))

    @staticmethod
    def commands() -> list[type["Stage"]]:
        """All stages that are commands, those of installed packages too, which it imports."""
        load_entry_points(PACKAGE)
        return [each for each in Stage.known().values() if each.command]

    def settings(self) -> dict[str, Any]:
        """The options with their values, for a card or a record."""
        given = {each.name.strip("_"): getattr(self, each.name) for each in self.options()}
        return {name: value for name, value in given.items() if value not in (None, {})}

    def __call__(self, predictor: Any, data: Any, *, folder: Any = None, watch: Any = None) -> Any:
        """Run the stage; the predictor, or all of them, and the data stay as they are.

        Args:
            predictor: what is worked on; a sequence of predictors, if `several`.
            data: a `Dataset`, which is put into the predictor's form, or `Examples` in that form.
            folder: where a long stage keeps its checkpoints, to go on from if it is killed.
            watch: a progress bar, of `medshot.training.progress`.

        Returns:
            a frozen predictor, on whose card the stage is noted.
        """
        from medshot.training.progress import quiet

        self.check(predictor)
        shown = data if self.several else _in_form_of(predictor, data)
        made = self.run(predictor, shown, folder=folder, watch=watch or quiet)
        return self._noted(predictor, made)

    def check(self, predictor: Any) -> None:  # noqa: B027  (most have nothing to check)
        """Raise what can be known to be wrong of `predictor` before any work. By default nothing.

        A `several` stage is given all predictors.
        """

    @abstractmethod
    def run(self, predictor: Any, data: Any, **work: Any) -> Any:
        """Make the new predictor: frozen, sharing no tensor with `predictor`.

        `work` holds `folder` (a path for checkpoints, or None) and `watch` (a progress bar), named
        as functions of training take them. What it notes on the card (`card.after`) stays; where it
        notes nothing, the name, the options and the source are noted.
        """

    def compare(self, before: Any, after: Any, data: Any) -> Any:
        """How all do on the images of a `Dataset`: a `Comparison`, with intervals over patients."""
        from medshot.evaluation.comparison import compared

        named = {"before": before}
        if self.several:
            named = {f"model {i}": each for i, each in enumerate(before, 1)}
        return compared({**named, self.outcome: after}, _in_form_of(after, data))

    def _noted(self, before: Any, after: Any) -> Any:
        if self.several:
            return after
        known, card = before.known_card(), after.card or before.known_card()
        if len(card.stages) == len(known.stages):
            cited = {"source": self.source} if self.source else {}
            card = card.after(self.name, **self.settings(), **cited)
        return after.with_card(card)


def _in_form_of(predictor: Any, data: Any) -> Any:
    """A `Dataset` in the form and with the labels of `predictor`; `Examples` as they are."""
    from medshot.data.dataset import Dataset
    from medshot.data.load import in_form

    card = predictor.known_card()
    known = (card.preprocessing, card.labels)
    if not isinstance(data, Dataset) or (data.preprocessing, data.labels) == known:
        return data
    return in_form(card, data)


def _typed(hint: Any) -> Any:
    """What a word on the command line is read as: `str` where that is allowed, `float` of
    `float | None`."""
    if get_origin(hint) is dict:
        return dict
    kinds = [each for each in get_args(hint) if each is not types.NoneType] or [hint]
    return str if str in kinds else kinds[0]


def stage(name: str, **options: Any) -> Stage:
    """Build the stage called `name`, one of ours or of a plug-in, with its options.

    Raises:
        ConfigError: an unknown stage or option, or a value that cannot be.
    """
    cls = STAGES.find(name)
    known = {each.name for each in fields(cls)}  # type: ignore[arg-type]
    for each in options:
        if each not in known:
            raise unknown(each, known, kind=f"option of {name!r}")
    return cls(**options)
