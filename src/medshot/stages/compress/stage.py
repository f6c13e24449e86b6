"""The stage `compress`, and the steps that it is a chain of: distil, prune, quantise."""

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, ClassVar

from medshot.core import ConfigError, unknown
from medshot.stages.base import Stage, option

SIZES = ("small", "tiny")  # of the network to distil into, where none is named
NUMBERS = ("int8",)  # to quantise to


class Prune(Stage):
    """Remove a share of the channels of every layer; what is left learns the same answers."""

    name = "prune"
    source = "Sun et al. 2023, arXiv:2306.11695; Fang et al. 2023, arXiv:2301.12900"
    command = False

    share: float = option("Share of the channels to remove.", default=0.5)
    steps: int = option("Steps of learning.", default=300, min=0)
    lr: float = option("Adam learning rate.", default=1e-3)
    teacher: Any = field(default=None)  # a predictor; what is pruned itself, if none is given

    def run(self, predictor: Any, data: Any, **work: Any) -> Any:
        """As `medshot.prune`."""
        from medshot.stages.compress.prune import prune

        return prune(
            predictor,
            data,
            self.share,
            teacher=self.teacher,
            steps=self.steps,
            lr=self.lr,
            **work,
        )


class Distil(Stage):
    """Teach a smaller network the answers of a predictor."""

    name = "distil"
    source = "Hinton et al. 2015, arXiv:1503.02531; Beyer et al. 2022, arXiv:2106.05237"
    command = False

    into: Any = option("small, tiny, or an encoder.", default="small")
    steps: int = option("Steps of learning.", default=1000, min=0)
    lr: float = option("Adam learning rate.", default=1e-3)
    seed: int = option("Decides the untrained weights.", default=0)

    def run(self, predictor: Any, data: Any, **work: Any) -> Any:
        """As `medshot.distill`."""
        from medshot.stages.compress.distill import distill

        numbers: dict[str, Any] = {"steps": self.steps, "lr": self.lr, "seed": self.seed}
        return distill(predictor, data, self.into, **numbers, **work)


class Quantise(Stage):
    """Multiply in 8-bit integers; no gradient goes through what is made."""

    name = "quantise"
    source = "Jacob et al. 2018, arXiv:1712.05877"
    command = False

    to: str = option("int8: convolutions in 8-bit integers.", default="int8")

    def run(self, predictor: Any, data: Any, **work: Any) -> Any:
        """As `medshot.quantize`; nothing is learned, and it takes seconds."""
        del work
        from medshot.stages.compress.quantize import quantize

        return quantize(predictor, data, to=self.to)


class Compress(Stage):
    """Make a model smaller and faster; say how much, and what it costs in score.

    With several of --distil, --prune and --quantise, each is also done alone, for the table, and
    what is saved is the chain: distilled, then pruned, then quantised. Killed at any moment, the
    same command goes on. Without --test it is evaluated on its training images: too optimistic.

    Examples:

        medshot compress my_model --data my_images/ --prune 0.5 --out pruned --test others/

        medshot compress my_model --data my_images/ --prune 0.5 --quantise int8 --out small
    """

    name = "compress"
    outcome = "compressed"
    helps: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "data": "Images to learn from; they need no labels if there is --test.",
            "out": "New folder for the smaller model; MODEL stays as it is.",
            "test": "Labelled images of other patients, to evaluate on.",
        }
    )

    prune: float | None = option("Share of the channels to remove, 0.5 say.", default=None)
    distil: str | None = option(
        "small, tiny, or an encoder by name: a smaller network learns its answers.", default=None
    )
    quantise: str | None = option(
        "int8: convolutions in 8-bit numbers; a model that no gradient goes through.", default=None
    )
    set_: dict[str, Any] = option("With an encoder by name: encoder.width=16.", default={})
    steps: int | None = option(
        "Steps of learning, of each.", default=None, min=0, shown="prune 300, distil 1000"
    )
    lr: float = option("Adam learning rate.", default=1e-3)
    seed: int = option("Decides the untrained weights of --distil.", default=0)
    network: Any = field(default=None)  # an encoder, which `distil` only names

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prune is None and self.distil is None and self.quantise is None:
            raise ConfigError(
                "Say how to compress: --distil small, --prune 0.5, --quantise int8, or several."
            )
        if self.quantise not in (None, *NUMBERS):
            raise unknown(str(self.quantise), NUMBERS, kind="kind of number to quantise to")
        if self.set_ and (self.distil is None or self.distil in SIZES):
            raise ConfigError("--set is for --distil with the name of an encoder: conv4, unet, ...")

    def chain(self, original: Any) -> dict[str, Stage]:
        """The steps by name, in their order. Pruning learns from `original`, in a chain too.

        Raises:
            ConfigError: there is one that cannot be.
        """
        from medshot.stages.compress.prune import check_share

        learning: dict[str, Any] = {"lr": self.lr}
        learning |= {} if self.steps is None else {"steps": self.steps}
        steps: dict[str, Stage] = {}
        if self.distil is not None:
            into = self.distil if self.distil in SIZES else self._network(original)
            steps[f"distil {self.distil}"] = Distil(into=into, seed=self.seed, **learning)
        if self.prune is not None:
            check_share(self.prune)
            steps[f"prune {self.prune:g}"] = Prune(share=self.prune, teacher=original, **learning)
        if self.quantise is not None:
            steps[self.quantise] = Quantise(to=self.quantise)
        return steps

    def run(self, predictor: Any, data: Any, *, folder: Any = None, **work: Any) -> Any:
        """One step after another; each notes itself on the card."""
        made = predictor
        for name, step in self.chain(predictor).items():
            made = step(made, data, folder=folder and folder / name, **work)
        return made

    def _network(self, original: Any) -> Any:
        """What `distil` names, for images in the form of `original`."""
        from medshot.nn.encoder import encoder

        if self.network is not None:
            return self.network
        form = original.known_card().preprocessing
        sides = {"channels": form.channels} | ({"size": form.size} if form.dims == 2 else {})
        options = {name.removeprefix("encoder."): value for name, value in self.set_.items()}
        return encoder(str(self.distil), **sides, **options)
