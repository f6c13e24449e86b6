"""In-context learning: a transformer reads the support and answers, and nothing is fitted."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.errors import ConfigError, TaskError
from medshot.core.parts import called
from medshot.core.task import Task
from medshot.learners.on_features import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.prototype_head import prototype_head
from medshot.nn.reading import Reader, Reading
from medshot.nn.set_transformer import SetTransformer
from medshot.tasks import Classification, one_hot


class Reads(OnFeatures):
    """A learner whose `reader` reads the support's features with their labels.

    With `residual` the answers are added to those of prototypes, squared distances to the class
    means times a learnt number: an untrained reader then starts from a classifier, not from chance.
    """

    supports = (Classification,)
    reader: Reader

    def __init__(self, encoder: nn.Module, *, way: int, residual: bool) -> None:
        super().__init__()
        if way < 2:
            raise ConfigError(f"way is {way}, but there are at least two classes to tell apart.")
        self.encoder, self.way = encoder, way
        start = torch.tensor(n_features(encoder) ** -0.5).log()
        self.log_scale = nn.Parameter(start) if residual else None

    def check(self, task: Task) -> None:
        """Also refuses more classes than there are label codes."""
        super().check(task)
        if task.n_outputs > self.way:
            raise TaskError(
                f"This {called(self)} has label codes for {self.way} classes, and the task "
                f"has {task.n_outputs}. Train with way={task.n_outputs} or more."
            )

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Reading:
        """Read the support."""
        labels = one_hot(y, task.n_outputs, like=z)
        with torch.autocast(z.device.type, enabled=False):
            memory = self.reader.remember(z, labels)
            scale = 0.0 if self.log_scale is None else self.log_scale.exp()
            weight, bias = prototype_head(z, labels, scale)
        return Reading(encoder, self.reader, memory, weight, bias)


@register("in-context")
class InContext(Reads):
    """A transformer over the support as a set; each query looks at it and is answered.

    Source: Fifty et al. 2024, arXiv:2310.10971 (CAML: label codes, a learnt code for the
    query's unknown label, no positions); Lee et al. 2019, arXiv:1810.00825 (attention over sets).

    Where we differ: a query looks at the support alone, and the support never at a query, so
    that an image gets the same answer alone and among others, and the support is read once and
    kept: a query costs only its own token. The paper lets all tokens of one query's sequence look
    at each other. The encoder is trained too, and is small; theirs is large and frozen. The
    answer is the token's fit to each class's code, where the paper has a linear layer. With
    `residual`, and by default, it is added to the answer of prototypes: the paper's learner, which
    starts from chance, needs far more training. `way` is the most classes that there are
    codes for; those codes that no episode used in meta-training have taught nothing.
    """

    source = "Fifty et al. 2024, arXiv:2310.10971"
    vectorises = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int = 20,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        residual: bool = True,
    ) -> None:
        super().__init__(encoder, way=way, residual=residual)
        if min(width, layers, heads) < 1 or width % heads:
            raise ConfigError(
                f"width={width} has to be a multiple of heads={heads}, and no number below 1 can "
                f"be (layers={layers})."
            )
        self.reader = SetTransformer(n_features(encoder), way, width, layers, heads)
