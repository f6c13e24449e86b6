"""Options of meta-training and pretraining: keyword, default, help and bounds in one line each."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from medshot.core.errors import ConfigError

BOUNDS = ("least", "above")

Function = TypeVar("Function", bound=Callable[..., Any])


def option(
    default: Any,
    help_: str,
    *,
    least: int | None = None,
    above: int | None = None,
    recorded: bool = True,
) -> Any:
    """Dataclass field with default, help, lower bound, and whether it is part of the run's record.

    An option that is not `recorded` may change when a run is resumed.
    """
    bounds = {"least": least, "above": above}
    return field(default=default, metadata={"help": help_, "recorded": recorded, **bounds})


@dataclass(frozen=True, kw_only=True)
class Config:
    """Options, each a field made by `option`.

    Raises:
        ConfigError: a number out of bounds.
    """

    def __post_init__(self) -> None:
        for each in fields(self):
            value, least, above = getattr(self, each.name), *map(each.metadata.get, BOUNDS)
            if value is not None and least is not None and value < least:
                raise ConfigError(f"{each.name} is {value}, but must be at least {least}.")
            if value is not None and above is not None and not above < value < math.inf:
                raise ConfigError(f"{each.name} is {value}, but must be above {above} and finite.")

    @classmethod
    def names(cls) -> list[str]:
        """The names of all options."""
        return [each.name for each in fields(cls)]

    def record(self) -> dict[str, Any]:
        """The options that must be the same to resume a run."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.metadata["recorded"]}


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Config):
    """Options of `medshot.train` and `medshot train`: fields, defaults and help."""

    way: int = option(5, "Classes an episode (a set with fewer gives all it has).")
    shot: int = option(5, "Support images a class (with masks, in all).")
    query: int = option(5, "Query images a class (with masks, in all).")
    steps: int = option(1000, "Meta-training steps.", least=1, recorded=False)
    meta_batch: int = option(1, "Episodes a step.", least=1)
    lr: float = option(1e-3, "Rate of Adam.", above=0)
    halve_every: int | None = option(None, "Halve the rate every so many steps.", least=1)
    val_every: int = option(100, "Steps between meta-validations.", least=1)
    val_episodes: int = option(50, "Episodes of a meta-validation.", least=1)
    patience: int | None = option(
        None, "Stop after so many validations without a better one.", least=1
    )
    seed: int = option(0, "Decides weights and episodes.", least=0)
    device: str = option("auto", "auto, cpu, cuda, ...", recorded=False)
    workers: int = option(1, "On a CPU: threads that share a step's episodes.", least=1)
    vectorise: bool | None = option(
        None, "All episodes of a step in one pass; by default on a GPU, where possible."
    )
    bf16: bool = option(False, "Encode in bfloat16 (faster where it is supported).")
    channels_last: bool = option(False, "Lay images out pixel by pixel (often faster).")

    def rate(self, step: int) -> float:
        """Learning rate after `step` completed steps."""
        return self.lr * 0.5 ** (step // self.halve_every if self.halve_every else 0)


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(Config):
    """Options of `medshot.pretrain` and `medshot pretrain`: fields, defaults and help."""

    steps: int = option(1000, "Steps.", least=0, recorded=False)
    batch: int = option(64, "Images a step, all of one folder; folders take turns.", least=2)
    lr: float = option(1e-3, "Rate of Adam.", above=0)
    judge_every: int = option(
        100, "Steps between looks at the images held out.", least=1, recorded=False
    )
    patience: int | None = option(
        None, "Stop after so many looks without a better.", least=1, recorded=False
    )
    seed: int = option(0, "Decides weights, batches and what is held out.")
    device: str = option("auto", "auto, cpu, cuda, ...", recorded=False)


def document_options(
    config: type[Config], *, others: bool = False
) -> Callable[[Function], Function]:
    """Decorator: put the options of `config` in the signature and docstring of a function.

    `others` says that its `**options` may hold more than these.
    """

    def documented(function: Function) -> Function:
        shown = inspect.signature(function)
        own = [p for p in shown.parameters.values() if p.kind is not p.VAR_KEYWORD]
        rest = [p for p in shown.parameters.values() if p.kind is p.VAR_KEYWORD and others]
        keywords = [
            inspect.Parameter(
                f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type
            )
            for f in fields(config)
        ]
        lines = [f"    {f.name} = {f.default!r}: {f.metadata['help']}" for f in fields(config)]
        said = inspect.getdoc(function) or ""
        function.__doc__ = "\n".join([said, "", f"Options, as in `{config.__name__}`:", *lines])
        function.__signature__ = shown.replace(parameters=[*own, *keywords, *rest])  # type: ignore[attr-defined]
        return function

    return documented
