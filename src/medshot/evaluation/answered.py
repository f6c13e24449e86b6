"""How well a predictor does on images, with intervals over patients; and a second, beside it."""

from collections.abc import Callable

import torch
from torch import Tensor

from medshot.core.episode import Examples
from medshot.core.predictor import Predictor, any_tensor, eval_mode
from medshot.data.dataset import Dataset
from medshot.data.split import own_groups, rarest
from medshot.evaluation.cross_validation import AT_ONCE, OutOfFold
from medshot.training.progress import Watch, quiet


@torch.no_grad()
def answered(
    predictor: Predictor,
    dataset: Dataset,
    change: Callable[[Examples], Tensor] | None = None,
    *,
    watch: Watch = quiet,
) -> OutOfFold:
    """What `predictor` says of every image of `dataset`, which has the form that it takes.

    It is shown what `change` makes of some images: attacked ones, say.

    Two of them on the same images can be compared, patient by patient: `after.minus(before, name)`.
    """
    task, like = predictor.known_card().task, any_tensor(predictor)
    found = []
    parts = torch.arange(len(dataset)).split(AT_ONCE)
    with eval_mode(predictor), watch(len(dataset), 0) as tick:
        for some in parts:
            shown = dataset.examples(some).to(like)
            output = predictor.answer_all(shown.x if change is None else change(shown))
            found.append(task.decode(output.double()).cpu())
            tick(int(some[-1]) + 1, None)
    y, own = dataset.examples().y.numpy(), own_groups(dataset.groups).numpy()
    strata = rarest(dataset.shows()).numpy()
    return OutOfFold(torch.cat(found).numpy(), y, own, 0, task, strata)
