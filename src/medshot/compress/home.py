"""Where in a predictor its encoder is."""

from typing import Any

from torch import nn

from medshot.core.errors import TaskError
from medshot.core.predictor import Predictor
from medshot.core.registry import called


def home_of(predictor: Predictor) -> Any:
    """The part of a predictor that holds its one encoder, as `encoder`.

    Raises:
        TaskError: there are several, or none.
    """
    found = [
        part
        for part in predictor.modules()
        if isinstance(part, Predictor) and isinstance(getattr(part, "encoder", None), nn.Module)
    ]
    if len(found) != 1:
        raise TaskError(
            f"{called(predictor)} holds {len(found)} encoders, and this is for one. Take "
            "each predictor before they are joined, or distil into an encoder by name."
        )
    return found[0]
