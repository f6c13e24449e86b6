"""Several predictors that answer the same images, each in the form that it was learnt on."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.predictor import Predictor

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R 601
Form = Sequence[int]  # channels and size; empty: images as they come


class Members(Predictor):
    """What ensembles have in common: a subclass makes one answer of `said`."""

    def __init__(self, members: Sequence[Predictor], forms: Sequence[Form]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.forms = [tuple(form) for form in forms]
        self.transductive = any(member.transductive for member in members)
        self.exportable = all(member.exportable for member in members)

    def each(self) -> list[Predictor]:
        """The members."""
        return [member for member in self.members if isinstance(member, Predictor)]

    def said(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "m n k *t"]:
        """The outputs of all members, those for every site on the grid of `x`."""
        pairs = zip(self.members, self.forms, strict=True)
        return torch.stack([_on_grid(member(in_form(x, form)), x, form) for member, form in pairs])


def in_form(x: Float[Tensor, "n ..."], form: Form) -> Float[Tensor, "n ..."]:
    """Images with other channels and of another size: as files are read, but from these pixels."""
    if not form:
        return x
    channels, size = form
    if x.shape[1] == 3 and channels == 1:
        x = (x * x.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)
    elif x.shape[1] == 1 and channels == 3:
        x = x.expand(-1, 3, -1, -1)
    if x.shape[2:] == (size, size):
        return x
    return F.interpolate(x, (size, size), mode="bilinear", antialias=True)


def _on_grid(output: Tensor, x: Tensor, form: Form) -> Tensor:
    if not form or output.ndim == 2 or output.shape[2:] == x.shape[2:]:
        return output
    return F.interpolate(output, x.shape[2:], mode="bilinear")
