"""What boxes say of the sites of a grid: at a centre, in a box elsewhere, in none."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medshot.tasks.boxes import NO_BOX, paint

NEAR = 0.5  # heat from which a site counts as at a centre


def labelled(
    boxes: Float[Tensor, "n m 5"], k: int, grid: tuple[int, int]
) -> tuple[Int[Tensor, "s"], Int[Tensor, "s"]]:
    """The number of a site of `n h w` and what it is, of which each of k classes has one at least.

    Class c is near the centre of a box of class c, k + c elsewhere in such a box, and 2 k in none.
    The rims have classes of their own because they look most like centres. Where centres of two
    classes are near, the site is there twice.
    """
    heat = paint(boxes, k, grid, like=boxes)[0]
    inside = torch.stack([_inside(boxes, c, grid) for c in range(k)], 1)
    rim = torch.where(inside.any(1), k + inside.int().argmax(1), 2 * k)
    near = heat > NEAR
    away = (~near.any(1)).flatten().nonzero().flatten()
    centres = [near[:, c].flatten().nonzero().flatten() for c in range(k)]
    named = [torch.full_like(where, c) for c, where in enumerate(centres)]
    return torch.cat([*centres, away]), torch.cat([*named, rim.flatten()[away]])


def _inside(boxes: Float[Tensor, "n m 5"], c: int, grid: tuple[int, int]) -> Bool[Tensor, "n h w"]:
    """Whether the middle of a site is in a box of class `c`."""
    y, x = ((torch.arange(cells).to(boxes) + 0.5) / cells for cells in grid)
    xmin, ymin, xmax, ymax, label = boxes[..., None].unbind(2)  # each n m 1
    down, across = (y >= ymin) & (y < ymax) & (label == c), (x >= xmin) & (x < xmax)
    return torch.einsum("nmh,nmw->nhw", down.float(), across.float()) > 0


def middles(
    boxes: Float[Tensor, "n m 5"], grid: tuple[int, int]
) -> tuple[Int[Tensor, "b"], Int[Tensor, "b"]]:
    """The number of the site of `n h w` that holds the middle of each box, and the box's class."""
    (h, w), real = grid, boxes[..., 4] != NO_BOX
    centre = (boxes[..., :2] + boxes[..., 2:4]) / 2
    x, y = ((centre[..., i] * cells).long().clamp(0, cells - 1) for i, cells in ((0, w), (1, h)))
    image = torch.arange(len(boxes)).to(boxes.device)[:, None]
    return ((image * h + y) * w + x)[real], boxes[..., 4][real].long()


def mean_sizes(boxes: Float[Tensor, "n m 5"], k: int) -> Float[Tensor, "k 2"]:
    """The mean logarithm of the width and of the height of each class."""
    logs = (boxes[..., 2:4] - boxes[..., :2]).clamp(min=1e-6).log()
    return torch.stack([logs[boxes[..., 4] == c].mean(0) for c in range(k)])
