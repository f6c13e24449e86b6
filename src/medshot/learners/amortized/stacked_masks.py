"""Stacked masks: pixel classifiers in closed form, combined by a meta-trained network."""

import copy
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from medshot.core import Examples, Learner, Predictor, SaveError, Task, part
from medshot.data.episodes import own_groups
from medshot.learners.amortized.in_context_masks import RandomRidge, cross_fitted_ridges
from medshot.learners.mask_blends import BLENDS, best_blend, blended, image_dice
from medshot.learners.mask_tuning import Cases, fine_tune
from medshot.learners.registry import register
from medshot.nn.heads import rows_to_grid, sites
from medshot.nn.mask_maps import (
    N_PIXEL,
    REFERENCE,
    SMALL,
    Maps,
    MaskMaps,
    PrincipalComponents,
    blur,
    fine_grid,
    half_grid,
    has_depths,
    principal_components,
)
from medshot.nn.mask_refiner import UNKNOWN, MaskRefiner, class_margins, support_numbers
from medshot.nn.soft_neighbors import SoftNeighbors, cross_fitted_neighbors
from medshot.tasks import Segmentation

PACKAGED = Path(__file__).with_name("refiner")  # refiner.json and refiner.safetensors
WIDE = 4.0  # pixels at 128 x 128: blur of the mean mask
RIDGES = ("texture", "fine", "objects", "joint")
RANDOM = {"texture": 256, "fine": 384, "objects": 0, "joint": 384}  # random features
PENALTIES = {"texture": 0.0067, "fine": 0.03, "objects": 1.0, "joint": 0.0067}
ROWS = {"texture": 24_000, "fine": 24_000, "objects": 16_000, "joint": 16_000}  # at most
MEMBERS = (*RIDGES, "neighbors", "mean mask")
CLEARLY = 0.02  # Dice, by which fine-tuning must be better
FOLDS = 4  # at most
FEWEST = 3  # images for fine-tuning: from one, ultrasound fell from a Dice of .18 to .02


@part("predictor", "stacked-masks")
class MaskStack(Predictor):
    """Pixel classifiers and the network that combines their scores."""

    mean_mask: Tensor
    numbers: Tensor
    blend: Tensor

    def __init__(
        self,
        maps: MaskMaps,
        components: PrincipalComponents,
        texture: RandomRidge,
        fine: RandomRidge,
        objects: RandomRidge,
        joint: RandomRidge,
        neighbors: SoftNeighbors,
        mean_mask: Float[Tensor, "k h w"],
        numbers: Float[Tensor, "k d"],
        blend: Float[Tensor, "m1"],
        refiner: MaskRefiner,
    ) -> None:
        super().__init__()
        self.maps, self.components, self.refiner = maps, components, refiner
        self.texture, self.fine, self.objects, self.joint = texture, fine, objects, joint
        self.neighbors = neighbors
        self.transductive = bool(getattr(maps.encoder, "transductive", False))
        tensors = {"mean_mask": mean_mask, "numbers": numbers, "blend": blend}
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Logits per pixel; those of background are 0."""
        with torch.autocast(x.device.type, enabled=False):
            maps = self.maps(x)
            return blended(self.parts(maps), self.blend)

    def parts(self, maps: Maps) -> Float[Tensor, "n k1 m1 h w"]:
        """Logit of the refiner for each foreground class, then the margins of the members."""
        margins = class_margins(self.scores(maps))
        return refined_parts(self.refiner, margins, maps.pixels, self.numbers)

    def scores(self, maps: Maps) -> Float[Tensor, "n m k h w"]:
        """Scores of the `MEMBERS`."""
        pixels, there, components = maps.pixels, maps.objects(), self.components(maps)
        half = half_grid(maps, components)
        grids = {
            "texture": rows_to_grid(self.texture(sites(pixels)), pixels),
            "fine": rows_to_grid(self.fine(sites(fine_grid(maps, components))), pixels),
            "objects": rows_to_grid(self.objects(sites(there)), there),
            "joint": rows_to_grid(self.joint(sites(half)), half),
            "neighbors": rows_to_grid(self.neighbors(sites(there)), there),
            "mean mask": self.mean_mask.expand(pixels.shape[0], -1, -1, -1),
        }
        return torch.stack([_fine(grids[name], pixels) for name in MEMBERS], 1)


def refined_parts(
    refiner: MaskRefiner,
    margins: Float[Tensor, "n k1 m h w"],
    pixels: Float[Tensor, "n f h w"],
    numbers: Float[Tensor, "k d"],
) -> Float[Tensor, "n k1 m1 h w"]:
    """Logit of the refiner for each foreground class, then the margins."""
    refined = [
        refiner(each, pixels, numbers[c].expand(each.shape[0], -1))
        for c, each in enumerate(margins.unbind(1), 1)
    ]
    return torch.cat([torch.stack(refined, 1)[:, :, None], margins], 2)


@register("stacked-masks")
class StackedMasks(Learner):
    """Pixel classifiers of few images with masks, combined by a meta-trained network.

    Six members are fitted in closed form to the support's pixels:

    - texture: ridge regression on filters and random features of each pixel (`RandomRidge`);
    - fine: the same on filters and principal components of the encoder's finer depths, which
      marks thin structures better than filters alone;
    - objects: ridge regression on the deeper maps of the encoder, on a grid of 32 x 32;
    - joint: ridge regression on filters, principal components of all depths, coordinates and
      random features, on a grid of half the sides;
    - neighbors: votes of the support's cells by the similarity of their deeper maps (attention as
      in Vinyals et al. 2016, arXiv:1606.04080, by pixel);
    - mean mask: the mean of the support's masks, blurred: shape and place alone.

    A small U-Net (`MaskRefiner`), meta-trained on other data sets, weighs them at every pixel
    (stacked generalization, Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1, with weights that
    depend on the image: Sill et al. 2009, arXiv:0911.0460). It reads their margins, the image, the
    number of support images, the share of the class and the Dice of each member by
    cross-validation on the support. Nothing is trained on a new task, unless `refine` asks for it.
    The support is stored as a few hundred numbers a class and at most 2,000 cells, so that the
    time of an answer does not depend on how many images it had. Where cross-validation on the
    support finds another blend clearly better (`BLENDS`), that is taken: the network has not seen
    all textures. With `refine` steps, the network is fine-tuned on the support, on margins of
    members that were fitted without the image (`fine_tune`); that is kept only where it marks
    images left out clearly better.

    Source: as above. `refiner` is a folder with the weights, by default the one in the package,
    made by `experiments/stacked_masks.py`.
    """

    supports = (Segmentation,)
    source = "Wolpert 1992; Sill et al. 2009, arXiv:0911.0460 (feature-weighted stacking)"
    trainable = False
    exact = False
    usual_encoder = "mobilenet"
    adapts_encoder = True  # features of the encoder are not all that it reads of an image

    def __init__(self, encoder: nn.Module, *, refiner: str | None = None, refine: int = 0) -> None:
        super().__init__()
        self.encoder, self.refiner, self.refine = encoder, refiner, refine

    def check(self, task: Task) -> None:
        """Raise `TaskError` for another task, or an encoder without maps."""
        if not (isinstance(task, self.supports) and has_depths(self.encoder)):
            super().check(task)

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> Predictor:
        """Fit the members to all images; cross-fit them to choose the blend and to fine-tune."""
        maps_of = MaskMaps(self.encoder, support.x.shape[-1])
        maps_of.filters.to(support.x)
        maps, k = maps_of(support.x), task.n_outputs
        folds = folds_of(support, k)
        stack, *others = self._fitted(maps_of, maps, support.y, k, folds)
        if folds is None:
            return stack
        margins = held_out_margins(others, maps, folds)
        stack.numbers = torch.cat(
            [stack.numbers[:, : -len(MEMBERS)], pooled_dice(margins, support.y)], 1
        )
        cases = Cases(margins, maps.pixels, support.y, stack.numbers)
        parts = refined_parts(stack.refiner, *cases.inputs)
        alone = bool((folds != folds[:, :1, :1]).any())
        best, dice = best_blend(parts, support.y, alone)
        if self.refine and not alone and len(support) >= FEWEST:
            tuned = self._dice_of_tuning(stack.refiner, cases, folds[:, 0, 0] % 2 == 1)
            if tuned > dice[best].mean() + CLEARLY:
                stack.refiner, best = fine_tune(stack.refiner, cases, self.refine), 0
        stack.blend = torch.tensor(BLENDS[best]).to(parts)
        return stack

    def _dice_of_tuning(self, refiner: MaskRefiner, cases: Cases, second: Tensor) -> float:
        """Mean Dice of images whose half of the folds was left out of fine-tuning."""
        total = 0.0
        for held in (second, ~second):
            tuned = fine_tune(refiner, cases.of(~held), self.refine)
            asked = cases.of(held)
            logits = blended(refined_parts(tuned, *asked.inputs), torch.tensor(BLENDS[0]))
            total += float(image_dice(logits, asked.y).sum())
        return total / len(cases.y)

    def _fitted(
        self, maps_of: MaskMaps, maps: Maps, y: Tensor, k: int, folds: Tensor | None
    ) -> list[MaskStack]:
        """The members of all pixels, then those without each fold."""
        components = principal_components(maps)
        parts = components(maps)
        grids = {"texture": maps.pixels, "fine": fine_grid(maps, parts)}
        grids |= {"objects": maps.objects(), "joint": half_grid(maps, parts)}
        labels = {name: label_shares(y, k, z.shape[2:], maps.pixels) for name, z in grids.items()}
        fitted = {name: _ridges(name, z, labels[name], folds) for name, z in grids.items()}
        neighbors, wide = (
            cross_fitted_neighbors(*_labeled(grids["objects"], labels["objects"], folds)),
            WIDE * y.shape[-1] / REFERENCE,
        )
        refiner = packaged_refiner(self.refiner).to(maps.pixels)
        unknown, found = maps.pixels.new_full((k, len(MEMBERS)), UNKNOWN), []
        for i in range(len(fitted["texture"])):
            shown = (
                torch.ones_like(y, dtype=torch.bool) if folds is None or i == 0 else folds != i - 1
            )
            rows = shown.flatten(1).any(1)
            known = ((y >= 0) & shown).sum().clamp(min=1)
            share = torch.stack([((y == c) & shown).sum() / known for c in range(k)])
            masks = (labels["texture"] * shown[:, None])[rows].mean(0, keepdim=True)
            made = MaskStack(
                maps_of,
                components,
                fitted["texture"][i],
                fitted["fine"][i],
                fitted["objects"][i],
                fitted["joint"][i],
                neighbors[i],
                blur(masks, wide)[0],
                support_numbers(int(rows.sum()), share.to(maps.pixels), unknown),
                torch.tensor(BLENDS[0]).to(maps.pixels),
                refiner,
            )
            found.append(made)
        return found


def pooled_dice(
    margins: Float[Tensor, "n k1 m h w"], y: Int[Tensor, "n h w"]
) -> Float[Tensor, "k m"]:
    """Dice of each member for each class, over all labeled pixels; `UNKNOWN` for background."""
    found = margins.new_full((margins.shape[1] + 1, margins.shape[2]), UNKNOWN)
    for c in range(1, len(found)):
        truth, known = (y == c)[:, None], (y >= 0)[:, None]
        claim = (margins[:, c - 1] > 0) & known
        both = (claim & truth).sum((0, 2, 3))
        found[c] = 2 * both / (claim.sum((0, 2, 3)) + truth.sum()).clamp(min=1)
    return found


def held_out_margins(
    stacks: Sequence[MaskStack], maps: Maps, folds: Int[Tensor, "n h w"]
) -> Float[Tensor, "n k1 m h w"]:
    """Margins of every pixel by the members that were fitted without its fold."""
    n, k, (h, w) = len(folds), len(stacks[0].mean_mask), folds.shape[1:]
    found = maps.pixels.new_zeros(n, k - 1, len(MEMBERS), h, w)
    for i, stack in enumerate(stacks):
        rows = (folds == i).flatten(1).any(1).nonzero()[:, 0]
        margins = class_margins(stack.scores(maps.of(rows)))
        found[rows] = torch.where((folds[rows] == i)[:, None, None], margins, found[rows])
    return found


def folds_of(support: Examples, k: int) -> Int[Tensor, "n h w"] | None:
    """Fold of each pixel; None where a class would be missing without one of them.

    Patients stay together; the images of a single one are cut into left and right. Patients are
    sorted by the brightness of their darkest image, so that the order of the support does not
    matter.
    """
    n, y = len(support), support.y
    groups = torch.arange(n) if support.groups is None else own_groups(support.groups).cpu()
    _, number = groups.unique(return_inverse=True)
    bright = support.x.flatten(1).double().mean(1).cpu()
    darkest = torch.full((int(number.max()) + 1,), torch.inf, dtype=bright.dtype)
    darkest = darkest.scatter_reduce(0, number, bright, "amin")
    if len(darkest) == 1:
        folds = torch.arange(y.shape[-1]).to(y.device) >= y.shape[-1] // 2
    else:
        patient = darkest.argsort(stable=True).argsort()[number].to(y.device)
        folds = (patient % min(FOLDS, len(darkest)))[:, None, None]
    folds = folds.long().expand_as(y)
    shown = [y[folds != f] for f in folds.unique()]
    return folds if all((each == c).any() for each in shown for c in range(k)) else None


def _cells(mask: Tensor, like: Tensor) -> Tensor:
    """Value in the middle of each cell."""
    return F.interpolate(mask[:, None].to(like), like.shape[2:], mode="nearest")[:, 0]


def label_shares(
    y: Int[Tensor, "n h w"], k: int, grid: Sequence[int], like: Tensor
) -> Float[Tensor, "n k i j"]:
    """Share of each class in every cell of `grid` (0 where nothing is labeled)."""
    marked = torch.stack([(y == c).to(like) for c in range(k)], 1)
    if tuple(grid) != tuple(y.shape[1:]):
        marked = F.adaptive_avg_pool2d(marked, (grid[0], grid[1]))
    return marked / marked.sum(1, keepdim=True).clamp(min=SMALL)


def _ridges(
    name: str, z: Float[Tensor, "n f i j"], shares: Tensor, folds: Tensor | None
) -> list[RandomRidge]:
    rows, labels, fold, n_folds = _labeled(z, shares, folds)
    return cross_fitted_ridges(
        *(rows, labels, fold, RANDOM[name]),
        n_folds=n_folds,
        penalty=PENALTIES[name],
        most=ROWS[name],
    )


def _labeled(
    z: Float[Tensor, "n f i j"], shares: Tensor, folds: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, int]:
    """Rows of the cells with a label, their labels and folds; the number of folds."""
    rows, labels = sites(z), sites(shares)
    known = labels.sum(1) > 0
    if folds is None:
        return rows[known], labels[known], None, 0
    fold = _cells(folds, z).flatten()[known].long()
    return rows[known], labels[known], fold, int(folds.max()) + 1


@cache
def _stored(folder: Path) -> MaskRefiner:
    try:
        about = json.loads((folder / "refiner.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "refiner.safetensors")
        made = MaskRefiner(members=len(MEMBERS), n_features=N_PIXEL, widths=about["widths"])
        made.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        own = "Install it again: pip install --force-reinstall medshot"
        other = "Name a folder that experiments/stacked_masks.py wrote, or leave the option out."
        raise SaveError(
            f"{folder} does not hold the weights of a mask refiner ({error}). "
            f"{own if folder == PACKAGED else other}"
        ) from error
    return made.eval().requires_grad_(False)


def packaged_refiner(folder: str | None = None) -> MaskRefiner:
    """The refiner in `folder`, by default that of the package.

    Raises:
        SaveError: a file is missing, damaged, or of another architecture.
    """
    return copy.deepcopy(_stored(PACKAGED if folder is None else Path(folder)))


def _fine(z: Float[Tensor, "n k i j"], x: Tensor) -> Float[Tensor, "n k h w"]:
    """On the grid of the image."""
    return z if z.shape[2:] == x.shape[2:] else F.interpolate(z, x.shape[2:], mode="bilinear")
