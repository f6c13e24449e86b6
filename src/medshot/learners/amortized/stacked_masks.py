"""Stacked masks: pixel classifiers in closed form, combined by a meta-trained network."""

import copy
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeGuard

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from medshot.core import Examples, Learner, Predictor, SaveError, Task, part
from medshot.learners.amortized.in_context_masks import RandomRidge, random_ridge
from medshot.learners.registry import register
from medshot.nn.encoders.filters import Filters
from medshot.nn.encoders.mobilenet import MobileNet
from medshot.nn.heads import features, rows_to_grid, sites
from medshot.nn.mask_refiner import MaskRefiner, class_margins, support_numbers
from medshot.tasks import Segmentation

PACKAGED = Path(__file__).with_name("refiner")  # refiner.json and refiner.safetensors
DEPTHS = ("block1_pw", "block3_pw", "block5_pw", "block11_pw")  # strides 2, 4, 8 and 16
KEPT = (16, 24, 32, 32)  # principal components of each depth
NETWORK = 256  # pixels a side at which a MobileNet reads: twice as fine as the image
OBJECTS = 32  # cells a side of the grid for what a thing is
SCALES = (0.8, 2.0, 4.0, 8.0)  # of the filters, in pixels of a 128 x 128 image
N_PIXEL = 25  # features of `pixel_features`
CHROMA = 4.0
BLUR, WIDE = 2.0, 4.0  # pixels at 128 x 128: of chroma, of the mean mask
SHARPNESS = 10.0  # of the cosine similarity to a prototype
RANDOM = {"texture": 256, "joint": 384, "objects": 0}  # random features
PENALTIES = {"texture": 0.0067, "joint": 0.0067, "objects": 0.03}
ROWS = {"texture": 24_000, "joint": 16_000, "objects": 16_000}  # at most, for the fit
MEMBERS = ("texture", "objects", "joint", "mean mask", "prototypes")
SMALL = 1e-6
REFERENCE = 128  # pixels a side to which scales refer


class Maps(NamedTuple):
    """Features of images: of every pixel, and of the encoder at several depths."""

    pixels: Float[Tensor, "n p h w"]
    depths: list[Tensor]

    def objects(self) -> Float[Tensor, "n f i j"]:
        """The deeper maps on the grid for objects, each L2-normalized and scaled by its width."""
        deeper = self.depths[1:] or self.depths
        side = min(OBJECTS, *(z.shape[2] for z in deeper[:2]))
        grids = [_on_grid(z, side) for z in deeper]
        return torch.cat([F.normalize(z, dim=1) * z.shape[1] ** 0.5 for z in grids], 1)


@part("module", "principal-components")
class PrincipalComponents(nn.Module):
    """Whitened principal components of the maps of each depth, on one grid, with coordinates."""

    means: Tensor
    axes: Tensor

    def __init__(
        self, means: Float[Tensor, "f"], axes: Float[Tensor, "f d"], kept: Sequence[int]
    ) -> None:
        super().__init__()
        self.kept = tuple(kept)
        self.register_buffer("means", means)
        self.register_buffer("axes", axes)

    def forward(self, maps: Maps) -> Float[Tensor, "n f i j"]:
        """Pixel features, components and coordinates on a grid of half the sides."""
        pixels = F.avg_pool2d(maps.pixels, 2)
        side, found, row = pixels.shape[2], [pixels], 0
        for z, n in zip(maps.depths, self.kept, strict=True):
            rows = slice(row, row + z.shape[1])
            row += z.shape[1]
            fine = _on_grid(z, side) if z.shape[2] > side else z
            flat = (sites(fine) - self.means[rows]) @ self.axes[rows, :n]
            found.append(_on_grid(rows_to_grid(flat, fine), side))
        return torch.cat([*found, coordinates(pixels)], 1)


def principal_components(maps: Maps) -> PrincipalComponents:
    """Fit to the maps of a support."""
    means, axes, kept = [], [], []
    for z, most in zip(maps.depths, KEPT[-len(maps.depths) :], strict=True):
        rows = sites(z)
        rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), 6000)).long()]
        middle = rows.mean(0)
        values, vectors = torch.linalg.eigh((rows - middle).T @ (rows - middle) / len(rows))
        n = min(most, z.shape[1])
        largest = vectors[:, -n:]
        signs = largest.gather(0, largest.abs().argmax(0)[None]).sign()
        scaled = signs * largest / values[-n:].clamp(min=SMALL).sqrt()
        means.append(middle)
        axes.append(F.pad(scaled, (0, max(KEPT) - n)))
        kept.append(n)
    return PrincipalComponents(torch.cat(means), torch.cat(axes), kept)


def coordinates(like: Float[Tensor, "n f h w"]) -> Float[Tensor, "n 6 h w"]:
    """Row and column from -1 to 1, their squares and product, and the distance from the middle."""
    y, x = (torch.linspace(-1, 1, side).to(like) for side in like.shape[2:])
    y, x = y[:, None].expand(like.shape[2:]), x[None].expand(like.shape[2:])
    found = torch.stack([y, x, y**2, x**2, y * x, (y**2 + x**2).sqrt()])
    return found[None].expand(len(like), -1, -1, -1)


@part("module", "mask-maps")
class MaskMaps(nn.Module):
    """Images to `Maps`: filters of intensity, chroma, and the maps of the encoder.

    A MobileNet gives the maps after `DEPTHS`, read at 256 pixels; another encoder its one map.
    """

    def __init__(self, encoder: nn.Module, size: int = REFERENCE) -> None:
        super().__init__()
        self.encoder, self.size = encoder, size
        scales = [scale * size / REFERENCE for scale in SCALES]
        self.filters = Filters(channels=1, size=size, scales=scales)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Maps:
        """Features of images in [0, 1]."""
        return Maps(self.pixel_features(x), self._depths(x))

    def pixel_features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 25 h w"]:
        """Filters of the intensity, two differences of colors, and these blurred."""
        gray = x.mean(1, keepdim=True)
        red, green, blue = x.unbind(1) if x.shape[1] == 3 else (gray[:, 0],) * 3
        chroma = CHROMA * torch.stack([red - green, blue - green], 1)
        blurred = blur(chroma, BLUR * self.size / REFERENCE)
        return torch.cat([self.filters(gray), chroma, blurred], 1)

    def _depths(self, x: Float[Tensor, "n c h w"]) -> list[Tensor]:
        if not _has_depths(self.encoder):
            return [features(self.encoder, x, unit=False)]
        z = _on_grid(self.encoder.scaled(x), max(NETWORK, x.shape[2]))
        return self.encoder.onward(z, DEPTHS)


def _has_depths(encoder: nn.Module) -> TypeGuard[MobileNet]:
    return isinstance(encoder, MobileNet) and encoder.packaged


def blur(x: Float[Tensor, "n c h w"], scale: float) -> Float[Tensor, "n c h w"]:
    """Gaussian blur of `scale` pixels; the border is replicated."""
    reach = int(3 * scale)
    weights = torch.exp(-((torch.arange(-reach, reach + 1) / scale) ** 2) / 2).to(x)
    kernel = (weights / weights.sum()).expand(x.shape[1], 1, -1)
    across = F.pad(x, (reach, reach, 0, 0), mode="replicate")
    once = F.conv2d(across, kernel[:, :, None, :], groups=x.shape[1])
    down = F.pad(once, (0, 0, reach, reach), mode="replicate")
    return F.conv2d(down, kernel[:, :, :, None], groups=x.shape[1])


@part("predictor", "stacked-masks")
class MaskStack(Predictor):
    """Five pixel classifiers and the network that combines their scores."""

    mean_mask: Tensor
    prototypes: Tensor
    numbers: Tensor

    def __init__(
        self,
        maps: MaskMaps,
        components: PrincipalComponents,
        texture: RandomRidge,
        objects: RandomRidge,
        joint: RandomRidge,
        mean_mask: Float[Tensor, "k h w"],
        prototypes: Float[Tensor, "k f"],
        numbers: Float[Tensor, "k 2"],
        refiner: MaskRefiner,
    ) -> None:
        super().__init__()
        self.maps, self.components, self.refiner = maps, components, refiner
        self.texture, self.objects, self.joint = texture, objects, joint
        self.transductive = bool(getattr(maps.encoder, "transductive", False))
        tensors = {"mean_mask": mean_mask, "prototypes": prototypes, "numbers": numbers}
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Logits per pixel; those of background are 0."""
        with torch.autocast(x.device.type, enabled=False):
            scores, pixels = self.scores(x)
            found = [
                self.refiner(margins, pixels, self.numbers[c].expand(len(x), -1))
                for c, margins in enumerate(class_margins(scores).unbind(1), 1)
            ]
        return torch.stack([torch.zeros_like(found[0]), *found], 1)

    def scores(
        self, x: Float[Tensor, "n c h w"]
    ) -> tuple[Float[Tensor, "n m k h w"], Float[Tensor, "n p h w"]]:
        """Scores of the `MEMBERS`, and the pixel features."""
        maps = self.maps(x)
        there, half = maps.objects(), self.components(maps)
        alike = F.normalize(sites(there), dim=1) @ self.prototypes.T
        grids = {
            "texture": rows_to_grid(self.texture(sites(maps.pixels)), maps.pixels),
            "objects": rows_to_grid(self.objects(sites(there)), there),
            "joint": rows_to_grid(self.joint(sites(half)), half),
            "mean mask": self.mean_mask.expand(len(x), -1, -1, -1),
            "prototypes": SHARPNESS * rows_to_grid(alike, there),
        }
        return torch.stack([_fine(grids[name], x) for name in MEMBERS], 1), maps.pixels


@register("stacked-masks")
class StackedMasks(Learner):
    """Pixel classifiers of few images with masks, combined by a meta-trained network.

    Five members are fitted in closed form to the support's pixels:

    - texture: ridge regression on filters and random features of each pixel (`RandomRidge`);
    - objects: ridge regression on the deeper maps of the encoder, on a grid of 32 x 32;
    - joint: ridge regression on filters, principal components of all depths, coordinates and
      random features, on a grid of half the sides;
    - mean mask: the mean of the support's masks, blurred: shape and place alone;
    - prototypes: cosine similarity to the mean deep features of each class (Snell et al. 2017,
      arXiv:1703.05175, by pixel as in Wang et al. 2019, PANet, arXiv:1908.06391).

    A small U-Net (`MaskRefiner`), meta-trained on other data sets, weighs them at every pixel
    (stacked generalization, Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1, with weights that
    depend on the image: Sill et al. 2009, arXiv:0911.0460). It reads their margins, the image, the
    number of support images and the share of the class. Nothing is trained on a new task. The
    support is stored as a few hundred numbers a class, so that the time of an answer does not
    depend on how many images it had.

    Source: as above. `refiner` is a folder with the weights, by default the one in the package,
    made by `experiments/stacked_masks.py`.
    """

    supports = (Segmentation,)
    source = "Wolpert 1992; Sill et al. 2009, arXiv:0911.0460 (feature-weighted stacking)"
    trainable = False
    exact = False
    usual_encoder = "mobilenet"
    adapts_encoder = True  # features of the encoder are not all that it reads of an image

    def __init__(self, encoder: nn.Module, *, refiner: str | None = None) -> None:
        super().__init__()
        self.encoder, self.refiner = encoder, refiner

    def check(self, task: Task) -> None:
        """Raise `TaskError` for another task, or an encoder without maps."""
        if not (isinstance(task, self.supports) and _has_depths(self.encoder)):
            super().check(task)

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> Predictor:
        """Fit the members."""
        x, y, k = support.x, support.y, task.n_outputs
        maps_of = MaskMaps(self.encoder, x.shape[-1])
        maps_of.filters.to(x)
        maps = maps_of(x)
        there, components = maps.objects(), principal_components(maps)
        half = components(maps)
        labels = {
            "texture": label_shares(y, k, y.shape[1:], x),
            "joint": label_shares(y, k, half.shape[2:], x),
            "objects": label_shares(y, k, there.shape[2:], x),
        }
        grids = {"texture": maps.pixels, "joint": half, "objects": there}
        fitted = {name: _ridge(name, grids[name], labels[name]) for name in RANDOM}
        shares = sites(labels["objects"])
        prototypes = F.normalize(shares.T @ F.normalize(sites(there), dim=1), dim=1)
        known = (y >= 0).sum().clamp(min=1)
        share = torch.stack([(y == c).sum() / known for c in range(k)]).to(x)
        whole = labels["texture"]
        return MaskStack(
            maps_of,
            components,
            fitted["texture"],
            fitted["objects"],
            fitted["joint"],
            blur(whole, WIDE * x.shape[-1] / REFERENCE).mean(0),
            prototypes,
            support_numbers(len(x), share),
            packaged_refiner(self.refiner).to(x),
        )


def label_shares(
    y: Int[Tensor, "n h w"], k: int, grid: Sequence[int], like: Tensor
) -> Float[Tensor, "n k i j"]:
    """Share of each class in every cell of `grid` (0 where nothing is labeled)."""
    marked = torch.stack([(y == c).to(like) for c in range(k)], 1)
    if tuple(grid) != tuple(y.shape[1:]):
        marked = F.adaptive_avg_pool2d(marked, (grid[0], grid[1]))
    return marked / marked.sum(1, keepdim=True).clamp(min=SMALL)


def _ridge(name: str, z: Float[Tensor, "n f i j"], shares: Tensor) -> RandomRidge:
    rows, labels = sites(z), sites(shares)
    known = labels.sum(1) > 0
    return random_ridge(
        rows[known], labels[known], RANDOM[name], penalty=PENALTIES[name], most=ROWS[name]
    )


@cache
def _stored(folder: Path) -> MaskRefiner:
    try:
        about = json.loads((folder / "refiner.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "refiner.safetensors")
        made = MaskRefiner(members=len(MEMBERS), n_features=N_PIXEL, widths=about["widths"])
        made.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise SaveError(
            f"{folder} does not hold the weights of a mask refiner ({error}). Name a folder that "
            "experiments/stacked_masks.py wrote, or leave the option out."
        ) from error
    return made.eval().requires_grad_(False)


def packaged_refiner(folder: str | None = None) -> MaskRefiner:
    """The refiner in `folder`, by default that of the package.

    Raises:
        SaveError: a file is missing, damaged, or of another architecture.
    """
    return copy.deepcopy(_stored(PACKAGED if folder is None else Path(folder)))


def _on_grid(z: Float[Tensor, "n c h w"], side: int) -> Float[Tensor, "n c s s"]:
    """Average down, or interpolate up."""
    if z.shape[2] == side == z.shape[3]:
        return z
    if z.shape[2] > side:
        return F.adaptive_avg_pool2d(z, side)
    return F.interpolate(z, (side, side), mode="bilinear")


def _fine(z: Float[Tensor, "n k i j"], x: Tensor) -> Float[Tensor, "n k h w"]:
    """On the grid of the image."""
    return z if z.shape[2:] == x.shape[2:] else F.interpolate(z, x.shape[2:], mode="bilinear")
