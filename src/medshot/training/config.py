"""Options of meta-training and pretraining: keyword, default, help and bounds in one line each."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from medshot.core.options import check_options, declared_options, option

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Config:
    """Options, each a field made by `option`.

    Raises:
        ConfigError: a number out of bounds.
    """

    def __post_init__(self) -> None:
        check_options(self)

    @classmethod
    def names(cls) -> list[str]:
        """The names of all options."""
        return [each.name for each in declared_options(cls)]

    def record(self) -> dict[str, Any]:
        """The options that must be the same to resume a run."""
        recorded = (each.name for each in declared_options(type(self)) if each.recorded)
        return {name: getattr(self, name) for name in recorded}


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Config):
    """Options of `medshot.train` and `medshot train`: fields, defaults and help."""

    way: int = option("Classes an episode (a set with fewer gives all it has).", default=5)
    shot: int = option("Support images a class (with masks, in all).", default=5)
    query: int = option("Query images a class (with masks, in all).", default=5)
    steps: int = option("Meta-training steps.", default=1000, min=1, recorded=False)
    meta_batch: int = option("Episodes a step.", default=1, min=1)
    lr: float = option("Adam learning rate.", default=1e-3, above=0)
    halve_every: int | None = option("Halve the rate every so many steps.", default=None, min=1)
    val_every: int = option("Steps between meta-validations.", default=100, min=1)
    val_episodes: int = option("Episodes of a meta-validation.", default=50, min=1)
    patience: int | None = option(
        "Stop after so many validations without a better one.", default=None, min=1
    )
    seed: int = option("Random seed of weights and episodes.", default=0, min=0)
    device: str = option("auto, cpu, cuda, ...", default="auto", recorded=False)
    workers: int = option("On a CPU: threads that share a step's episodes.", default=1, min=1)
    vectorise: bool | None = option(
        "All episodes of a step in one pass; by default on a GPU, where possible.", default=None
    )
    bf16: bool = option("Encode in bfloat16 (faster where it is supported).", default=False)
    channels_last: bool = option("Lay images out pixel by pixel (often faster).", default=False)

    def rate(self, step: int) -> float:
        """Learning rate after `step` completed steps."""
        return self.lr * 0.5 ** (step // self.halve_every if self.halve_every else 0)


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(Config):
    """Options of `medshot.pretrain` and `medshot pretrain`: fields, defaults and help."""

    steps: int = option("Steps.", default=1000, min=0, recorded=False)
    batch: int = option("Images a step, all of one folder; folders take turns.", default=64, min=2)
    lr: float = option("Adam learning rate.", default=1e-3, above=0)
    judge_every: int = option("Validation interval in steps.", default=100, min=1, recorded=False)
    patience: int | None = option(
        "Early-stopping patience, in validations.", default=None, min=1, recorded=False
    )
    seed: int = option("Random seed of weights, batches and the validation split.", default=0)
    device: str = option("auto, cpu, cuda, ...", default="auto", recorded=False)


def document_options(
    config: type[Config], *, others: bool = False
) -> Callable[[Function], Function]:
    """Decorator: put the options of `config` in the signature and docstring of a function.

    `others` says that its `**options` may hold more than these.
    """

    def documented(function: Function) -> Function:
        shown, types = inspect.signature(function), get_type_hints(config)
        own = [p for p in shown.parameters.values() if p.kind is not p.VAR_KEYWORD]
        rest = [p for p in shown.parameters.values() if p.kind is p.VAR_KEYWORD and others]
        keywords = [
            inspect.Parameter(
                each.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=each.default,
                annotation=types[each.name],
            )
            for each in declared_options(config)
        ]
        lines = [f"    {o.name} = {o.default!r}: {o.help}" for o in declared_options(config)]
        said = inspect.getdoc(function) or ""
        function.__doc__ = "\n".join([said, "", f"Options, as in `{config.__name__}`:", *lines])
        function.__signature__ = shown.replace(parameters=[*own, *keywords, *rest])  # type: ignore[attr-defined]
        return function

    return documented
