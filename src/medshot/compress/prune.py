"""A predictor with fewer channels in every layer, taught to answer as it did with all of them."""

from pathlib import Path

from medshot.compress.cut import cut
from medshot.compress.imitate import Images, examples_for, imitate
from medshot.core.errors import ConfigError, TaskError
from medshot.core.predictor import Predictor, settled, trainable
from medshot.training.progress import Watch, quiet


def prune(
    predictor: Predictor,
    examples: Images,
    share: float = 0.5,
    *,
    teacher: Predictor | None = None,
    steps: int = 300,
    lr: float = 1e-3,
    folder: Path | None = None,
    watch: Watch = quiet,
) -> Predictor:
    """`predictor` without `share` of the channels of each layer, and then taught by `teacher`.

    The channels are gone, not masked: the layers are smaller. Those go that matter least for the
    images of `examples`. Then, in `steps` steps, the smaller network learns to give the answers of
    `teacher`, which is `predictor` itself if not told; labels are not needed. A linear head loses
    what it read of the last layer. Other heads (prototypes, ...) need all features: for them that
    layer stays as wide as it is. So do all layers whose maps are features (the depths of a
    mobilenet, and the depthwise layers after them). How channels are chosen:
    `medshot.compress.channels`.

    Raises:
        ConfigError: `share` is not above 0 and below 1, or takes no channel of any layer.
        DataError: fewer than two images, or values that are not finite.
        ShapeError: images of another form than the predictor takes.
        TaskError: the predictor is transductive, or has no channels that could be removed; the
            teacher is transductive, or knows other labels.
    """
    check_share(share)
    shown, card = examples_for(predictor, examples), predictor.known_card()
    _check_teacher(predictor, teacher or predictor)
    student = trainable(cut(predictor.freeze(), shown.x, share))
    imitate(
        student,
        teacher or predictor,
        shown,
        task=card.task,
        steps=steps,
        lr=lr,
        folder=folder,
        settings={"stage": "prune", "share": share},
        watch=watch,
    )
    after = card.after("prune", share=share, steps=steps, lr=lr, images=len(shown))
    return settled(student).with_card(after)


def check_share(share: float) -> None:
    """Raise `ConfigError` if `share` of the channels cannot be removed."""
    if not 0 < share < 1:
        raise ConfigError(
            f"A share of {share} of the channels cannot be removed: nothing would change, or "
            "nothing would be left. Take one above 0 and below 1."
        )


def _check_teacher(predictor: Predictor, teacher: Predictor) -> None:
    ours, theirs = predictor.known_card(), teacher.known_card()
    if (ours.kind, ours.labels) != (theirs.kind, theirs.labels) or teacher.transductive:
        raise TaskError(
            f"The teacher does {theirs.kind} of {', '.join(theirs.labels)}, the predictor "
            f"{ours.kind} of {', '.join(ours.labels)}. Take a teacher that answers the same "
            "question, for every image by itself."
        )
