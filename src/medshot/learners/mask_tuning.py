"""Fine-tuning of a mask refiner on the support: few steps on cross-fitted margins."""

import copy
import math
import random
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medshot.nn.mask_maps import on_grid
from medshot.nn.mask_refiner import SIDE, MaskRefiner

RATE, DECAY, WARM = 1e-3, 1e-2, 10  # AdamW; steps until the full rate
BATCH = 6
DROPPED = 0.1  # chance that an image lacks a member
SCALED = 0.2  # standard deviation of the logarithm of a scale
BENT = 0.08  # standard deviation of an elastic shift, in half sides


class Cases(NamedTuple):
    """What the refiner reads for images with masks, and the masks."""

    margins: Float[Tensor, "n k1 m h w"]
    image: Float[Tensor, "n f h w"]
    y: Int[Tensor, "n h w"]  # -1: unknown
    numbers: Float[Tensor, "k d"]

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """What the refiner reads."""
        return self.margins, self.image, self.numbers

    def of(self, chosen: Bool[Tensor, "n"]) -> "Cases":
        """Some of the images."""
        return Cases(self.margins[chosen], self.image[chosen], self.y[chosen], self.numbers)


def fine_tune(refiner: MaskRefiner, cases: Cases, steps: int, *, seed: int = 0) -> MaskRefiner:
    """A copy of `refiner`, trained for `steps` on `cases`, whose margins are cross-fitted.

    Every step draws images and classes; they are turned, mirrored, scaled and bent, and a member
    may be missing. The loss is binary cross-entropy plus the soft Dice loss.
    """
    drawn = random.Random(seed)
    noise = torch.Generator().manual_seed(seed)
    side = min(SIDE, cases.y.shape[-1])
    n, classes = cases.margins.shape[:2]
    margins = on_grid(cases.margins.flatten(0, 1), side).unflatten(0, (n, classes))
    image = on_grid(cases.image, side)
    y = F.interpolate(cases.y[:, None].float(), (side, side), mode="nearest")[:, 0]
    with torch.enable_grad():
        net = copy.deepcopy(refiner).requires_grad_(True).train()
        optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        for step in range(steps):
            rate = RATE * min(1, (step + 1) / WARM) * (1 + math.cos(math.pi * step / steps)) / 2
            for group in optimizer.param_groups:
                group["lr"] = rate
            chosen = [(drawn.randrange(n), drawn.randrange(classes)) for _ in range(BATCH)]
            rows = []
            for i, c in chosen:
                shown = margins[i, c]
                if drawn.random() < DROPPED:
                    shown = shown.clone()
                    shown[drawn.randrange(len(shown))] = 0
                known = (y[i] >= 0).to(shown)
                rows.append(
                    torch.cat([shown, image[i], (y[i] == c + 1).to(shown)[None], known[None]])
                )
            batch = _deformed(torch.stack(rows), drawn, noise)
            shown, seen, wanted, known = batch.split([margins.shape[2], image.shape[1], 1, 1], 1)
            numbers = torch.stack([cases.numbers[c + 1] for _, c in chosen])
            optimizer.zero_grad()
            loss = _loss(net(shown, seen, numbers), wanted[:, 0], known[:, 0])
            loss.backward()
            optimizer.step()
    return net.eval().requires_grad_(False)


def _deformed(
    rows: Float[Tensor, "b c s s"], drawn: random.Random, noise: torch.Generator
) -> Float[Tensor, "b c s s"]:
    """Each turned, mirrored, scaled and bent; what comes from outside is unknown."""
    found = [each.rot90(drawn.randrange(4), (-2, -1)) for each in rows]
    found = [each.flip(-1) if drawn.random() < 0.5 else each for each in found]
    x = torch.stack(found)
    scale = (SCALED * torch.randn(len(x), generator=noise)).exp().to(x)
    plain = torch.eye(2, 3).to(x)[None] * scale[:, None, None]
    bend = BENT * torch.randn(len(x), 2, 4, 4, generator=noise).to(x)
    bend = F.interpolate(bend, x.shape[2:], mode="bicubic").movedim(1, -1)
    grid = F.affine_grid(plain, list(x.shape), align_corners=False) + bend
    return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)


def _loss(logits: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    p, y = logits.sigmoid() * known, wanted * known
    overlap = (2 * (p * y).sum((1, 2)) + 1) / ((p + y).sum((1, 2)) + 1)
    each = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * known
    entropy = each.sum((1, 2)) / known.sum((1, 2)).clamp(min=1)
    return (entropy + 1 - overlap).mean()
