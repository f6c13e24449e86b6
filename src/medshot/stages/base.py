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
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, dataclass_transform

from medshot.core import ConfigError, Registry, unknown
from medshot.core.options import Option, check_options, declared_options, option
from medshot.core.plugins import load_entry_points

PACKAGE = __name__.rpartition(".")[0]
STAGES: Registry[type["Stage"]] = Registry("stage", PACKAGE)
SHARED = ("model", "data", "out", "test", "json", "threads")  # options of every stage command


@dataclass_transform(kw_only_default=True, field_specifiers=(option, field))
@dataclass(kw_only=True)
class Stage(ABC):
    """A stage after adaptation: takes a predictor and data, returns another predictor.

    A subclass becomes a dataclass: its annotated attributes are its keyword arguments, and those
    declared with `option` are options of the command, whose help is the class's docstring. A
    subclass with a `name` is registered when it is imported.
    """

    name: ClassVar[str]  # of the command, and on the card
    source: ClassVar[str] = ""  # author, year, identifier: recorded on the card, and cited
    outcome: ClassVar[str] = "after"  # name of the new predictor in tables
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
        check_options(self)

    @classmethod
    def options(cls) -> list[Option]:
        """The declared options, in order."""
        return declared_options(cls)

    @staticmethod
    def known() -> MappingProxyType[str, type["Stage"]]:
        """Stages by name: those of our `stage.py` files and all imported ones, without PyTorch."""
        for module in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__):
            inside = f"{PACKAGE}.{module.name}"
            parts = importlib.import_module(inside).__path__ if module.ispkg else ()
            if any(part.name == "stage" for part in pkgutil.iter_modules(parts)):
                importlib.import_module(f"{inside}.stage")
        return MappingProxyType(dict(sorted(STAGES.items())))

    @staticmethod
    def commands() -> list[type["Stage"]]:
        """All stages that are commands, including those of plug-ins, which it imports."""
        load_entry_points(PACKAGE)
        return [each for each in Stage.known().values() if each.command]

    def settings(self) -> dict[str, Any]:
        """The options and their values, for a card or a record."""
        given = {each.name.strip("_"): getattr(self, each.name) for each in self.options()}
        return {name: value for name, value in given.items() if value not in (None, {})}

    def __call__(self, predictor: Any, data: Any, *, folder: Any = None, watch: Any = None) -> Any:
        """Run the stage; neither the predictors nor the data are changed.

        Args:
            predictor: the input predictor; a sequence of predictors, if `several`.
            data: a `Dataset`, which is converted to the predictor's channels and size, or
                `Examples` that have them.
            folder: for checkpoints of a long stage, from which a killed one resumes.
            watch: a progress bar, see `medshot.training.progress`.

        Returns:
            a frozen predictor, with the stage recorded on its card.
        """
        from medshot.training.progress import quiet

        self.check(predictor)
        shown = data if self.several else _in_form_of(predictor, data)
        made = self.run(predictor, shown, folder=folder, watch=watch or quiet)
        return self._noted(predictor, made)

    def check(self, predictor: Any) -> None:  # noqa: B027  (most have nothing to check)
        """Raise errors about `predictor` that are known before any work. No-op by default.

        A `several` stage gets all predictors.
        """

    @abstractmethod
    def run(self, predictor: Any, data: Any, **work: Any) -> Any:
        """Make the new predictor: frozen, sharing no tensor with `predictor`.

        `work` holds `folder` (a path for checkpoints, or None) and `watch` (a progress bar), the
        keyword arguments of training functions. A record on the card by `card.after` is kept;
        without one, the name, the options and the source are recorded.
        """

    def compare(self, before: Any, after: Any, data: Any) -> Any:
        """Compare all predictors on a `Dataset`, with confidence intervals over patients."""
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
    """A `Dataset` with the channels, size and labels of `predictor`; `Examples` unchanged."""
    from medshot.data.dataset import Dataset
    from medshot.data.load import in_form

    card = predictor.known_card()
    known = (card.preprocessing, card.labels)
    if not isinstance(data, Dataset) or (data.preprocessing, data.labels) == known:
        return data
    return in_form(card, data)


def stage(name: str, **options: Any) -> Stage:
    """Build the stage `name`, one of ours or of a plug-in, with its options.

    Raises:
        ConfigError: an unknown stage or option, or an invalid value.
    """
    cls = STAGES.find(name)
    known = {each.name for each in fields(cls)}  # type: ignore[arg-type]
    for each in options:
        if each not in known:
            raise unknown(each, known, kind=f"option of {name!r}")
    return cls(**options)
