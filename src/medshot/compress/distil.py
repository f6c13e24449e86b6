"""A smaller predictor that learns to answer as a larger one does."""

from pathlib import Path

from torch import nn

from medshot.compress.imitate import Images, examples_for, imitate
from medshot.compress.student import student_for
from medshot.core.predictor import Predictor, settled, trainable
from medshot.core.registry import recipe
from medshot.training.progress import Watch, quiet


def distil(
    predictor: Predictor,
    examples: Images,
    into: str | nn.Module = "small",
    *,
    steps: int = 1000,
    lr: float = 1e-3,
    temperature: float = 2.0,
    seed: int = 0,
    folder: Path | None = None,
    watch: Watch = quiet,
) -> Predictor:
    """A smaller network with a linear head, taught by `predictor` on the images of `examples`.

    Labels are not needed, and not looked at. `into` is `small` (half of the width, about a quarter
    of the weights), `tiny` (a quarter of the width), or an encoder, `medshot.encoder("conv4",
    width=16)`. `predictor` may be anything that answers images one by one, differentiable or not.

    Source: Hinton et al. 2015, arXiv:1503.02531. Where we differ: there is no term for labels, and
    images are mixed (see `imitate`).

    Raises:
        ConfigError: an unknown encoder or option, or a width that cannot be less.
        DataError: fewer than two images, or values that are not finite.
        ShapeError: images of another form than the predictor takes.
        TaskError: the predictor is transductive, or the encoder does not fit the task.
    """
    shown, card = examples_for(predictor, examples), predictor.known_card()
    made = student_for(predictor, shown.x, card.task, into, seed)
    student, encoder = trainable(made), recipe(made.encoder)
    imitate(
        student,
        predictor,
        shown,
        task=card.task,
        steps=steps,
        lr=lr,
        temperature=temperature,
        folder=folder,
        settings={"stage": "distil", "into": encoder, "seed": seed},
        watch=watch,
    )
    into = into if isinstance(into, str) else encoder["part"]
    after = card.after("distil", into=into, steps=steps, lr=lr, seed=seed, images=len(shown))
    return settled(student).with_card(after)
