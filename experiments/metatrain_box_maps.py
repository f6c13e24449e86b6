"""What `metatrain_box.py` learns from: maps of a middle block of the encoder, made once a set.

Up to 80 images a class of every set of labelled images, of different patients while there are
any; patches of the sets with masks, whose class is what covers most of them; phantoms. Of each
image the map after block 8 as it is, mirrored, and two copies changed at random.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

import medshot
from medshot.core.errors import DataError
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.data.transforms import ImagePreprocessing
from medshot.evaluation.protocols import data_root
from medshot.phantoms.labels.task import PhantomEpisodes, phantom_dataset
from segmentation import real_set

SIZE, MOST = 128, 80  # pixels a side, images a class
GROUPS = {
    "histology": ("lung_histology", "colon_histology", "oral_histology"),
    "MRI": ("brain_mri_tumor", "alzheimer_mri"),
    "CT": ("covid_ct", "lung_ct_iqoth", "kidney_ct", "head_ct_hemorrhage"),
    "X-ray": ("cxr_tb_shenzhen", "covid_cxr", "pneumonia_mnist", "knee_oa", "mammo_mias_roi"),
    "skin": ("skin_ham10000", "skin_ph2"),
    "eye": ("oct_dme_mx", "fundus_dr_mx"),
    "cells and endoscopy": ("malaria_cells", "wbc1", "gi_bleeding_wce"),
}
TIED = ("kidney_ct", "fundus_dr_mx", "gi_bleeding_wce")  # class and source go together: not judged
MASKS = {  # not learned from where this group is judged
    "nuclei_monuseg": "histology",
    "gland_glas": "histology",
    "nuclei_dsb2018": "histology",
    "em_membrane": "histology",
    "liver_ct": "CT",
    "lung_fields_shenzhen": "X-ray",
    "dental_periapical": "X-ray",
    "foot_ulcer": "skin",
    "drive": "eye",
    "optic_disc_drishti": "eye",
    "polyp_kvasir": "cells and endoscopy",
    "fetal_head_hc18": "",
    "nerve_us": "",
}
MIXED = "medical_mnist"  # CT, MRI and X-ray in one set: learned from where none of them is judged
OPEN = (
    *("lung_histology", "colon_histology", "oral_histology", "lung_ct_iqoth", "cxr_tb_shenzhen"),
    *("pneumonia_mnist", "knee_oa", "malaria_cells", "gi_bleeding_wce", "medical_mnist"),
    *("nuclei_dsb2018", "lung_fields_shenzhen", "fetal_head_hc18"),
)
QUERIES = (10, 8, 6, 5, 4, 3)  # a class: the most that the patients allow
PHANTOMS, WAY, EACH = 40, 3, 12  # tasks of classes of images


class Layer(NamedTuple):
    """A convolution of the packaged encoder, and ReLU6 behind it."""

    weight: Tensor
    bias: Tensor
    stride: int
    padding: int
    around: tuple[int, ...]
    groups: int

    def __call__(self, x: Tensor) -> Tensor:
        """Pad, convolve, clip."""
        x = F.pad(x, self.around) if any(self.around) else x
        z = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, 1, self.groups)
        return z.clamp(0, 6)


@dataclass
class Maps:
    """Maps `v n h w c` (float16) of the variants of the images of one set, and their classes."""

    name: str
    x: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    modality: str


def layers_of(encoder: Any) -> dict[str, Layer]:
    """The layers of the packaged encoder, whose batch normalization lies in the kernels."""
    found = {}
    for name, layer in encoder.layers.items():
        weight = layer.weight.detach().contiguous(memory_format=torch.channels_last)
        how = layer.stride[0], layer.padding[0], layer.around, layer.groups
        found[name] = Layer(weight, layer.bias.detach(), *how)
    return found


def through(layers: Iterable[Layer], x: Float[Tensor, "n c h w"]) -> Tensor:
    """Maps after `layers`, channels last in memory."""
    z = x.contiguous(memory_format=torch.channels_last)
    for layer in layers:
        z = layer(z)
    return z


def all_maps(encoder: Any, folder: Path, head: list[Layer]) -> dict[str, Maps]:
    """The maps of every set, from `folder` where they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, modality, load in _sources():
        file, grid = folder / f"{name}.npz", folder / f"{name}.npy"
        if not file.exists():
            data = load()
            np.save(grid, _maps(encoder, data.x, head))
            np.savez(file, y=data.y.numpy(), groups=data.groups.numpy())
            print(f"{file} {len(data)} images", flush=True)
        with np.load(file) as z:
            x = np.load(grid, mmap_mode="r")  # 2 GB in all
            found[name] = Maps(name, x, z["y"], z["groups"], modality)
    return found


def may_teach(data: Maps, fold: tuple[str, ...], only_open: bool) -> bool:
    """Whether a set may teach where `fold` is left out."""
    if only_open and data.name not in (*OPEN, "phantoms"):
        return False
    mixed = data.name == MIXED and not {"CT", "MRI", "X-ray"}.isdisjoint(fold)
    return data.modality not in fold and not mixed


def judged_sets(fold: tuple[str, ...]) -> list[str]:
    """The sets of a fold that are judged."""
    return [name for group in fold for name in GROUPS[group] if name not in TIED]


def sampler_of(data: Maps, shot: int, count: int) -> EpisodeSampler | None:
    """All classes, and as many of `QUERIES` a class as the patients allow."""
    k = int(data.y.max()) + 1
    blank = torch.zeros(len(data.y), 3, 1, 1, dtype=torch.uint8)
    y, groups = torch.from_numpy(data.y), torch.from_numpy(data.groups)
    form = ImagePreprocessing(3, 1)
    indexed = Dataset(data.name, blank, y, tuple(map(str, range(k))), groups, form, "")
    for query in QUERIES:
        try:
            sampler = EpisodeSampler(indexed, way=k, shot=shot, query=query, seed=26)
            for i in range(count):
                sampler.draw(i)
        except DataError:
            continue
        return sampler
    return None


def _sources() -> Iterator[tuple[str, str, Any]]:
    """Name, group and data of every set."""
    for group, names in GROUPS.items():
        for name in names:
            yield name, group, lambda name=name: _labelled(name)
    yield MIXED, "", lambda: _labelled(MIXED)
    for name, group in MASKS.items():
        yield name, group, lambda name=name: _patches(name)
    yield "phantoms", "", _phantoms


def _labelled(name: str) -> Dataset:
    """Up to `MOST` images a class, of different patients while there are any."""
    folder = data_root() / (f"seg_{name}" if name == "wbc1" else f"cls_{name}")
    data = medshot.load(folder, channels=3, size=SIZE)
    rng, kept = np.random.default_rng(0), []
    order, groups = rng.permutation(len(data)), data.groups.numpy()
    enough = [c for c, n in enumerate(data.counts().values()) if n >= 30]
    for c in enough:
        of = order[data.y.numpy()[order] == c]
        first = np.unique(groups[of], return_index=True)[1]
        known = groups[of][first] >= 0
        front = of[np.sort(first[known])]
        rest = of[~np.isin(of, front)]
        kept += [*front, *rest][:MOST]
    return data.subset(torch.tensor(np.array(kept))).only(enough)


def _patches(name: str) -> Dataset:
    """Windows of the images of a set with masks: background, or the class that covers most."""
    if name == "nuclei_dsb2018":
        data: Any = real_set(name)
    else:
        data = medshot.load(data_root() / f"seg_{name}", channels=3, size=224)
    rng, side = np.random.default_rng(0), int(data.x.shape[-1] * 0.42)
    windows, shares, owner = [], [], []
    for _ in range(1 + 600 // len(data)):
        for i in range(min(len(data), 150)):
            a, b = rng.integers(0, data.x.shape[-1] - side + 1, 2)
            windows.append(data.x[i, :, a : a + side, b : b + side])
            mask = data.y[i, a : a + side, b : b + side].flatten().long()
            shares.append(torch.bincount(mask, minlength=len(data.labels)) / mask.numel())
            owner.append(i)
    share = torch.stack(shares)
    marked = 1 - share[:, 0]
    low, high = marked.quantile(0.3), marked.quantile(0.7)
    y = torch.where(marked >= high, 1 + share[:, 1:].argmax(1), -1)
    y[marked <= low] = 0
    kept = [(y == c).nonzero().flatten()[:100] for c in range(len(data.labels))]
    kept = [k for k in kept if len(k) >= 25]
    index = torch.cat(kept)
    x = F.interpolate(
        torch.stack([windows[i] for i in index]).float(), (SIZE, SIZE), mode="bilinear"
    )
    labels = torch.cat([torch.full((len(k),), c) for c, k in enumerate(kept)])
    names = tuple(map(str, range(len(kept))))
    form = data.preprocessing
    return Dataset(name, x.byte(), labels, names, torch.tensor(owner)[index], form, "")


def _phantoms() -> Dataset:
    """`PHANTOMS` tasks of `WAY` classes, their classes numbered through."""
    source = PhantomEpisodes(way=WAY, size=SIZE)
    parts = [phantom_dataset(source.task(i), EACH, 1) for i in range(PHANTOMS)]
    y = torch.cat([part.y + WAY * i for i, part in enumerate(parts)])
    x, groups = torch.cat([part.x for part in parts]), torch.full((len(y),), -1)
    names = tuple(map(str, range(WAY * PHANTOMS)))
    return Dataset("phantoms", x, y, names, groups, parts[0].preprocessing, "")


@torch.inference_mode()
def _maps(encoder: Any, pixels: Tensor, head: list[Layer]) -> np.ndarray:
    generator, rows = torch.Generator().manual_seed(0), []
    for some in pixels.split(2):
        x = some.float() / 255
        variants = [x, x.flip(3), *(_changed(x, generator) for _ in range(2))]
        z = through(head, encoder.scaled(torch.cat(variants)))
        rows.append(z.permute(0, 2, 3, 1).half().unflatten(0, (len(variants), len(some))))
    return torch.cat(rows, 1).numpy()


def _changed(x: Float[Tensor, "n c h w"], generator: torch.Generator) -> Tensor:
    """Each image cropped, mirrored or not, and its intensities changed, at random."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(x), generator=generator)

    side, ratio = uniform(0.4, 1).sqrt(), uniform(-0.2, 0.2).exp()
    wide, tall = (side * ratio).clamp(max=1), (side / ratio).clamp(max=1)
    theta = torch.zeros(len(x), 2, 3)
    theta[:, 0, 0] = wide * torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = tall
    theta[:, 0, 2], theta[:, 1, 2] = (1 - wide) * uniform(-1, 1), (1 - tall) * uniform(-1, 1)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    z = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False).clamp(1e-4, 1)
    shape = (-1, 1, 1, 1)
    z = z ** uniform(0.75, 1.33).view(shape) * uniform(0.75, 1.25).view(shape)
    return (z + uniform(-0.1, 0.1).view(shape)).clamp(0, 1)
