"""What `adapt --finetune`, and a setting of `select`, make of a learner."""

from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.finetuning import FineTuned, way_called
from medshot.finetuning.freed import moves_below
from medshot.select import Auto, OneOf
from medshot.select.space import FINETUNE

NONE = "none"
# The first is tried first: those that gained most with few images (docs/stages/finetune.md).
WAYS = {FINETUNE: OneOf(("adapter", "lora", "all", "film", "bias", "head"))}


def finetuned(learner: Learner, what: str) -> Learner:
    """`learner`, and then the way `what`; as it is for "none".

    Raises:
        ConfigError: there is no such way, or an encoder has nothing that it could move: said before
            the work, not after.
    """
    if what == NONE:
        return learner
    for each in learner.candidates if isinstance(learner, Auto) else [learner]:
        try:
            moves_below(each.get_submodule("encoder"), way_called(what))
        except ConfigError as error:
            if not isinstance(learner, Auto):
                raise
            raise ConfigError(
                f"{error} `auto` may choose an encoder without weights: name a learner, as "
                "--learner prototypical, or a run."
            ) from error
    return FineTuned(learner, what).eval()
