"""A predictor whose weights can be changed further, and one that is done with it."""

from torch import nn

from medshot.core.errors import TaskError
from medshot.core.predictor import Predictor


def trainable(predictor: Predictor) -> Predictor:
    """A copy that stands alone and whose weights are all parameters: the encoder's and the head's.

    What a head was fitted to lies in buffers, which no optimizer moves; here they are parameters
    of the same names. The encoder's own buffers (running statistics, fixed filters) stay as they
    are. To be given to `settled` once changed.

    Raises:
        TaskError: no gradient goes through the predictor, or one inside it.
    """
    if not all(part.differentiable for part in _predictors(predictor)):
        raise TaskError(
            "This model cannot be trained: no gradient goes through what is quantised. Do this "
            "stage with the model that it was made of, and quantise last."
        )
    copied = predictor.freeze().requires_grad_(True)
    for part in _predictors(copied):
        for name, tensor in list(part.named_buffers(recurse=False)):
            if tensor.is_floating_point():
                delattr(part, name)
                part.register_parameter(name, nn.Parameter(tensor))
    copied.card = predictor.card
    return copied


def settled(changed: Predictor) -> Predictor:
    """A frozen copy of what `trainable` gave and something then changed, fit to be saved."""
    copied = changed.freeze()
    for part in _predictors(copied):
        for name, tensor in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, tensor.detach())
    copied.card = changed.card
    return copied


def _predictors(module: Predictor) -> list[Predictor]:
    """It, and those inside it: an ensemble has members."""
    return [part for part in module.modules() if isinstance(part, Predictor)]
