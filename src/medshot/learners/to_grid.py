"""Convert a learner for image labels to one for masks, with the same weights."""

import copy

from medshot.core import Learner, TaskError, called, make, recipe
from medshot.nn.encoders.adapters import Hypercolumns
from medshot.tasks import Segmentation


def on_grid(learner: Learner, size: int = 128) -> Learner:
    """Return a copy of an image-level `learner` that segments images of `size` pixels.

    Its parameters are kept except those whose shape depends on the number of features.

    Raises:
        TaskError: the learner does not support segmentation with any encoder.
        ConfigError: the encoder has no feature maps.
    """
    if not issubclass(Segmentation, learner.supports):
        raise TaskError(
            f"{called(learner)} cannot be converted to masks. prototypical, ridge, "
            "linear-probe, finetune and the MAML family can."
        )
    encoder = Hypercolumns(encoder=copy.deepcopy(learner.encoder), size=size)
    made = recipe(learner)
    options = {name: value for name, value in made["options"].items() if name != "encoder"}
    other = make({"part": made["part"], "options": options | {"encoder": recipe(encoder)}})
    kept = {
        name: value
        for name, value in learner.state_dict().items()
        if not name.startswith("encoder.")
        and other.state_dict().get(name, value[None]).shape == value.shape
    }
    other.load_state_dict(
        kept | {f"encoder.{n}": v for n, v in encoder.state_dict().items()}, strict=False
    )
    other.origin = f"{learner.origin}; its encoder laid on the grid of the image"
    return other.eval()
