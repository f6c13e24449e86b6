"""Boxes, and their dense encoding: a heatmap of centers for each class, and maps of box sizes.

A box is a row `xmin ymin xmax ymax class`, as fractions of the image's width and height, so that it
is independent of the grid. Images have unequal numbers of boxes: rows of class -1 are padding.

Source: Zhou, Wang & Kraehenbuehl 2019, arXiv:1904.07850 (CenterNet). Where we differ: the Gaussian
around a center is proportional to the box in each direction, and sizes are regressed at all sites
near a center, both as in Liu et al. 2020, arXiv:1909.00700 (TTFNet); the grid may be that of the
image, so that no offset is needed; and duplicates are removed by non-maximum suppression as well.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

NO_BOX = -1  # class of a padding row
MOST = 200  # detections an image at most
SPREAD = 0.09  # standard deviation as a fraction of the side: alpha / 6, TTFNet's alpha is 0.54
SAME = 0.5  # IoU threshold of non-maximum suppression


def paint(
    boxes: Float[Tensor, "n m 5"], k: int, grid: tuple[int, int], like: Tensor
) -> tuple[Float[Tensor, "n k h w"], Float[Tensor, "n 2 h w"]]:
    """Encode boxes as a heatmap in [0, 1] for each class, 1 at centers, and maps of sizes.

    A size is that of the nearest box, 0 where no box is near. Both maps have the device and dtype
    of `like`.
    """
    n, (h, w) = len(boxes), grid
    heat, sizes = torch.zeros(n, k, h, w).to(like), torch.zeros(n, 2, h, w).to(like)
    highest = torch.zeros(n, 1, h, w).to(like)
    for row in boxes.to(like).unbind(1):
        real = row[:, 4] != NO_BOX
        if not real.any():
            continue
        own = F.one_hot(row[:, 4].long().clamp(min=0), k).to(like) * real[:, None].to(like)
        sides = (row[:, 2:4] - row[:, :2])[:, :, None, None]
        bell = _bell(row[:, 1], row[:, 3], h)[:, :, None] * _bell(row[:, 0], row[:, 2], w)[:, None]
        bell = bell[:, None] * real[:, None, None, None].to(like)
        heat = torch.maximum(heat, own[:, :, None, None] * bell)
        sizes = torch.where(bell > highest, sides, sizes)
        highest = torch.maximum(highest, bell)
    return heat, sizes


def find(
    heat: Float[Tensor, "n k h w"], sizes: Float[Tensor, "n 2 h w"], least: float
) -> Float[Tensor, "n d 6"]:
    """Decode the boxes at the peaks of the heatmaps, by score: box, class, score.

    A peak is a maximum of its 3 x 3 neighborhood and is at least `least`. Rows of class -1 are
    padding.
    """
    k, h, w = heat.shape[1:]
    peaks = heat * (F.max_pool2d(heat, 3, stride=1, padding=1) == heat)
    scores, place = peaks.flatten(1).topk(min(MOST, k * h * w))
    label, site = place // (h * w), place % (h * w)
    centre = torch.stack([(site % w + 0.5) / w, (site // w + 0.5) / h], -1)
    half = sizes.flatten(2).gather(2, site[:, None].expand(-1, 2, -1)).mT / 2
    corners = torch.cat([centre - half, centre + half], -1).clamp(0, 1)
    kept = _first_of_same(corners, label) & (scores >= least)
    label = torch.where(kept, label, NO_BOX)
    found = torch.cat([corners, label[..., None].to(heat), scores[..., None]], -1)
    order = (~kept).int().argsort(dim=1, stable=True)  # kept boxes first, still by score
    return found.gather(1, order[..., None].expand_as(found))


def overlaps(
    first: Float[Tensor, "*n d 4"], second: Float[Tensor, "*n m 4"]
) -> Float[Tensor, "*n d m"]:
    """Pairwise intersection over union."""
    a, b = first[..., :, None, :], second[..., None, :, :]
    sides = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(0)
    both = sides.prod(-1)
    areas = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return both / (areas - both).clamp(min=1e-12)


def _bell(low: Float[Tensor, "n"], high: Float[Tensor, "n"], cells: int) -> Float[Tensor, "n s"]:
    """Gaussian along one axis, 1 at the cell that holds the center."""
    middle = ((low + high) / 2 * cells).floor().clamp(0, cells - 1)
    deviation = ((high - low) * cells * SPREAD).clamp(min=0.5)
    at = torch.arange(cells).to(low)
    return torch.exp(-(((at - middle[:, None]) / deviation[:, None]) ** 2) / 2)


def _first_of_same(corners: Float[Tensor, "n d 4"], label: Tensor) -> Bool[Tensor, "n d"]:
    """Non-maximum suppression within each class; boxes are sorted by score."""
    same = (overlaps(corners, corners) > SAME) & (label[:, :, None] == label[:, None])
    kept = torch.ones_like(label, dtype=torch.bool)
    for i in range(label.shape[1] - 1):
        kept[:, i + 1 :] &= ~(same[:, i, i + 1 :] & kept[:, i : i + 1])
    return kept


NEAR = 0.5  # heatmap value from which a site counts as at a center


def labelled(
    boxes: Float[Tensor, "n m 5"], k: int, grid: tuple[int, int]
) -> tuple[Int[Tensor, "s"], Int[Tensor, "s"]]:
    """Flat indices into `n h w` and site labels; each of the k classes has at least one site.

    Label c is near the center of a box of class c, k + c elsewhere in such a box, and 2 k in no
    box. The rims have labels of their own because they look most like centers. A site near centers
    of two classes is listed twice.
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
    """Whether the center of a site is in a box of class `c`."""
    y, x = ((torch.arange(cells).to(boxes) + 0.5) / cells for cells in grid)
    xmin, ymin, xmax, ymax, label = boxes[..., None].unbind(2)  # each n m 1
    down, across = (y >= ymin) & (y < ymax) & (label == c), (x >= xmin) & (x < xmax)
    return torch.einsum("nmh,nmw->nhw", down.float(), across.float()) > 0


def middles(
    boxes: Float[Tensor, "n m 5"], grid: tuple[int, int]
) -> tuple[Int[Tensor, "b"], Int[Tensor, "b"]]:
    """Flat index into `n h w` of the site at the center of each box, and the box's class."""
    (h, w), real = grid, boxes[..., 4] != NO_BOX
    centre = (boxes[..., :2] + boxes[..., 2:4]) / 2
    x, y = ((centre[..., i] * cells).long().clamp(0, cells - 1) for i, cells in ((0, w), (1, h)))
    image = torch.arange(len(boxes)).to(boxes.device)[:, None]
    return ((image * h + y) * w + x)[real], boxes[..., 4][real].long()


def mean_sizes(boxes: Float[Tensor, "n m 5"], k: int) -> Float[Tensor, "k 2"]:
    """Mean log width and log height of each class."""
    logs = (boxes[..., 2:4] - boxes[..., :2]).clamp(min=1e-6).log()
    return torch.stack([logs[boxes[..., 4] == c].mean(0) for c in range(k)])
