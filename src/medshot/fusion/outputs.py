"""What every member says of every image, asked once."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medshot.core.episode import Examples
from medshot.core.predictor import Card, any_tensor, eval_mode
from medshot.data.dataset import Dataset
from medshot.nn.ensemble import Members
from medshot.training.progress import Watch, quiet

AT_ONCE = 32  # images answered together


@torch.no_grad()
def outputs_of(
    several: Members, shown: Examples, watch: Watch = quiet
) -> Float[Tensor, "m n k *s"]:
    """The outputs of all members, in double precision: what weights are fitted to."""
    like, found = any_tensor(several), []
    with eval_mode(several), watch(len(shown), 0) as tick:
        for part in torch.arange(len(shown)).split(AT_ONCE):
            found.append(several.said(shown.x[part].to(like)).double().cpu())
            tick(int(part[-1]) + 1, None)
    return torch.cat(found, 1)


def shown_in(images: Dataset | Examples, card: Card) -> Examples:
    """The images in the form that a predictor with `card` takes."""
    if isinstance(images, Examples):
        return images
    form = (getattr(card.preprocessing, name, None) for name in ("channels", "size"))
    channels, size = form
    return (images.at(channels, size) if channels and size else images).examples()


def groups_of(shown: Examples) -> Int[Tensor, "n"]:
    """The number of each image's patient, -1 where nobody knows it."""
    known = shown.groups
    return torch.full((len(shown),), -1) if known is None else known.cpu()
