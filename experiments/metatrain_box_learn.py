"""How `metatrain_box.py` learns: the pointwise kernels of blocks 9 to 12, on maps of block 8.

Every step is one set, and a few of its images. What is lowered is any of

- `ridge`: an episode. Classes drawn, sometimes merged or one against the rest; every image is
  answered by ridge regression of the others (leave one out, in closed form);
- `heads`: a linear layer a set, which keeps its place over the steps (cosine, one scale);
- `distill`: the features (linear CKA) and answers of a teacher of this one set (URL, Li et al.
  2021, arXiv:2103.13841), which learned it by `heads`;
- `stay`: how far the features have gone from those of the encoder as it was (1 - cosine).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from metatrain_box_maps import WAY, Layer, Maps

LOSSES = ("ridge", "distill", "stay")
BLOCKS = (512, 512, 1024, 1024)  # mean and deviation after block 11, and after block 12
Moved = list[Tensor]


@dataclass(frozen=True)
class Recipe:
    """What is lowered, with its weights, how far and how fast."""

    losses: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LOSSES, 1.0))
    rate: float = 3e-4  # a step's share of a kernel's norm, before momentum
    steps: int = 100
    images: int = 40
    ridge: float = 0.3
    teacher_steps: int = 25


class Tail:
    """Blocks 9 to 12. `moved` is added to the pointwise kernels: nothing, when it is zero."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers

    def start(self) -> Moved:
        """Zeros to learn."""
        points = [layer.weight for layer in self.layers if layer.groups == 1]
        return [torch.zeros_like(w, requires_grad=True) for w in points]

    def __call__(self, x: Float[Tensor, "n c h w"], moved: Moved) -> Float[Tensor, "n f"]:
        """Mean and deviation over the map of the last two blocks."""
        kept, z = [], x
        layers = moved_layers(self.layers, moved)
        points = [layer for layer in layers if layer.groups == 1]
        for layer in layers:
            z = layer(z)
            if any(layer is last for last in points[-2:]):
                flat = z.flatten(2)
                kept += [flat.mean(2), (flat.var(2, correction=0) + 1e-6).sqrt()]
        return torch.cat(kept, 1)

    @torch.inference_mode()
    def features(self, maps: Maps, moved: Moved, variants: int = 2) -> Float[Tensor, "v n f"]:
        """The features of the first `variants` of all images of a set."""
        return torch.stack(
            [
                torch.cat([self(as_maps(x), moved) for x in np.array_split(part, len(part) // 16)])
                for part in maps.x[:variants]
            ]
        )


def frozen_features(tail: Tail, maps: dict[str, Maps], file: Path) -> dict[str, Tensor]:
    """The features of all variants of all images, before any learning."""
    if not file.exists():
        start = tail.start()
        found: dict[str, Any] = {
            n: tail.features(m, start, len(m.x)).half().numpy() for n, m in maps.items()
        }
        np.savez(file, **found)
    with np.load(file) as z:
        return {name: torch.from_numpy(z[name]).float() for name in maps}


def moved_layers(layers: Sequence[Layer], moved: Moved) -> list[Layer]:
    """`layers` with `moved` added to the pointwise kernels."""
    left = list(moved)
    return [
        layer._replace(weight=layer.weight + left.pop(0)) if layer.groups == 1 else layer
        for layer in layers
    ]


def as_maps(x: np.ndarray) -> Float[Tensor, "n c h w"]:
    """Stored rows as maps, channels last in memory."""
    return torch.from_numpy(x.astype(np.float32)).permute(0, 3, 1, 2)


def shaped(
    z: Float[Tensor, "n f"], center: Float[Tensor, "f"] | None = None
) -> Float[Tensor, "n f"]:
    """Every block less its center, of length 1/2: together of length 1."""
    z = z if center is None else z - center
    return torch.cat([F.normalize(part, dim=1) for part in z.split(BLOCKS, 1)], 1) / 2


@dataclass(frozen=True)
class Teacher:
    """What one set alone has taught: features of its images as they are and mirrored, a head."""

    features: Float[Tensor, "2 n f"]
    head: nn.Linear


class Learning:
    """One run over some sets. `frozen` holds the features of all variants as they were."""

    def __init__(
        self,
        tail: Tail,
        sets: Sequence[Maps],
        frozen: dict[str, Tensor],
        recipe: Recipe,
        seed: int,
        teachers: dict[str, Teacher] | None = None,
    ) -> None:
        self.tail, self.sets, self.frozen, self.recipe = tail, sets, frozen, recipe
        self.rng = np.random.default_rng([seed, 7])
        torch.manual_seed(seed)
        self.moved = tail.start()
        self.heads = {s.name: nn.Linear(sum(BLOCKS), int(s.y.max()) + 1) for s in sets}
        for head in self.heads.values():
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.scale = torch.tensor(2.0, requires_grad=True)
        self.teachers = teachers or {}

    def run(self) -> Moved:
        """Learn, and give what was added to the kernels."""
        recipe = self.recipe
        slow = [p for head in self.heads.values() for p in head.parameters()]
        made = [
            torch.optim.Adam([*slow, self.scale], 1e-2),
            torch.optim.SGD(self.moved, recipe.rate, momentum=0.9),
        ]
        sizes = [layer.weight.norm() for layer in self.tail.layers if layer.groups == 1]
        self.history = []
        for step in range(recipe.steps):
            made[1].param_groups[0]["lr"] = recipe.rate * min(
                1, (step + 1) / 10, 1.5 * (1 - step / recipe.steps)
            )
            losses = self._losses(self.sets[int(self.rng.integers(len(self.sets)))])
            for optimizer in made:
                optimizer.zero_grad()
            torch.stack([recipe.losses[k] * v for k, v in losses.items()]).sum().backward()
            for p, size in zip(self.moved, sizes, strict=True):
                if p.grad is not None:
                    p.grad *= size / p.grad.norm().clamp(min=1e-12)
            for optimizer in made:
                optimizer.step()
            self.history.append({k: round(v.item(), 4) for k, v in losses.items()})
        return [m.detach() for m in self.moved]

    def _losses(self, data: Maps) -> dict[str, Tensor]:
        wanted, found = self.recipe.losses, {}
        index, y = self._draw(data)
        variants = 2 if data.name in self.teachers else len(data.x)
        which = self.rng.integers(0, variants, len(index))
        z = self.tail(as_maps(data.x[which, index]), self.moved)
        if "ridge" in wanted:
            found["ridge"] = self._ridge(z, torch.from_numpy(y))
        if "heads" in wanted:
            own = torch.from_numpy(data.y[index])
            found["heads"] = F.cross_entropy(_logits(self.heads[data.name], z), own)
        if data.name in self.teachers:
            found["distill"] = self._distill(data.name, z, index, which)
        if "stay" in wanted:
            before = self.frozen[data.name][which, index]
            alike = (shaped(z, z.mean(0)) * shaped(before, before.mean(0))).sum(1)
            found["stay"] = (1 - alike).mean()
        return found

    def _distill(
        self, name: str, z: Tensor, index: Int[np.ndarray, "n"], which: Int[np.ndarray, "n"]
    ) -> Tensor:
        """How far the answers, and the features, are from the teacher's."""
        teacher = self.teachers[name]
        theirs = teacher.features[which, index]
        ours = _logits(self.heads[name], z).log_softmax(1)
        told = _logits(teacher.head, theirs).detach().log_softmax(1)
        answers = F.kl_div(ours, told, log_target=True, reduction="batchmean")
        return answers + 2 * (1 - cka(shaped(z, z.mean(0)), shaped(theirs, theirs.mean(0))))

    def _draw(self, data: Maps) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
        """Images of some classes, of different patients while there are any, and their labels."""
        rng, k = self.rng, int(data.y.max()) + 1
        if data.name == "phantoms":
            classes = rng.integers(k // WAY) * WAY + rng.permutation(WAY)
        else:
            classes = rng.permutation(k)[: rng.integers(2, min(k, 5) + 1)]
        merged = np.arange(len(classes))
        if len(classes) > 2 and rng.random() < 0.3:
            merged = (merged > rng.integers(len(classes) - 1)).astype(int)
        index, y = [], []
        for c, label in zip(classes, merged, strict=True):
            of = rng.permutation(np.flatnonzero(data.y == c))
            new = np.isin(np.arange(len(of)), np.unique(data.groups[of], return_index=True)[1])
            of = of[np.argsort(~(new | (data.groups[of] < 0)), kind="stable")]
            some = of[: self.recipe.images // len(classes)]
            index += list(some)
            y += [label] * len(some)
        return np.array(index), np.array(y)

    def _ridge(self, z: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy of each image's answer by ridge regression of the others."""
        x = shaped(z, z.mean(0))
        target = F.one_hot(y).float()
        target = target - target.mean(0)
        inverse = torch.linalg.inv(x @ x.T + self.recipe.ridge * torch.eye(len(x)))
        answers = target - (inverse @ target) / inverse.diagonal()[:, None]
        weight = 1 / torch.bincount(y).clamp(min=1).float()
        return F.cross_entropy(self.scale.exp() * answers, y, weight=weight)


def teachers_of(
    tail: Tail, sets: Sequence[Maps], frozen: dict[str, Tensor], recipe: Recipe, seed: int
) -> dict[str, Teacher]:
    """A teacher a set: the same blocks and a head, learned from this set alone."""
    alone = replace(recipe, losses={"heads": 1.0}, steps=recipe.teacher_steps, images=24)
    found = {}
    for i, data in enumerate(sets):
        if data.name != "phantoms":
            taught = Learning(tail, [data], frozen, alone, 1000 * seed + i)
            features = tail.features(data, taught.run())
            found[data.name] = Teacher(features, taught.heads[data.name])
    return found


def _logits(head: nn.Linear, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
    return 4 * head(shaped(z, z.mean(0)))


def cka(a: Float[Tensor, "n f"], b: Float[Tensor, "n g"]) -> Float[Tensor, ""]:
    """Linear centered kernel alignment (Kornblith et al. 2019): 1 for the same up to a turn."""
    a, b = a - a.mean(0), b - b.mean(0)
    k, m = a @ a.T, b @ b.T
    return (k * m).sum() / (k.norm() * m.norm()).clamp(min=1e-9)
