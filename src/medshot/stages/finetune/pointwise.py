"""Fine-tune the last pointwise convolutions of a MobileNet on cached feature maps."""

import copy
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Examples, called
from medshot.nn.encoders.mobilenet import MobileNet, normalized_rows

SOURCE = "Li et al. 2022, arXiv:2107.00358"
SMALLEST, LARGEST = 0.72, 0.92  # side of a zoomed crop as a fraction of the image
HEAD_LR, HEAD_C = 1e-2, 10.0
BATCH = 24  # images a step, balanced over classes
AT_ONCE = 16  # batch size of feature extraction
TIMED = 2  # images of a class in the time estimate


@dataclass(frozen=True)
class Pointwise:
    """Train the pointwise kernels of the last `blocks` blocks: `steps` steps of Adam at `lr`.

    Source: Li, Liu & Bilen 2022, arXiv:2107.00358 (task-specific adapters: a parallel 1x1
    convolution for each convolution, initialized to zero, trained on the support).

    Where we differ: a 1x1 adapter of a pointwise kernel is a change of the kernel itself, so the
    kernels are trained directly. The loss is the cross-entropy of a linear head, which is
    initialized to the logistic regression of the support and trained too. With the paper's
    prototypes, an image of the support is close to its own prototype because it is part of it;
    leaving it out was worse from 20 images a class. Images are augmented by flip and zoom. Their
    feature maps before the first trained kernel are computed once.
    """

    blocks: int = 5
    steps: int = 5
    lr: float = 1e-3

    def __post_init__(self) -> None:
        if min(self.blocks, self.steps) < 1 or not self.lr > 0:
            raise ConfigError(
                f"blocks={self.blocks}, steps={self.steps} and lr={self.lr} must be above 0."
            )

    def check(self, encoder: nn.Module) -> None:
        """Raise `ConfigError` where `encoder` has no such kernels."""
        self._moving(encoder)

    def moved(self, encoder: nn.Module, support: Examples, k: int, seed: int = 0) -> MobileNet:
        """A copy of `encoder`, fine-tuned to the `k` classes of `support`.

        Deterministic for a support and seed.
        """
        descent = _Descent(self, encoder, support, k, seed)
        for _ in range(self.steps):
            descent.step()
        return descent.encoder.requires_grad_(False)

    def seconds(self, encoder: nn.Module, support: Examples, k: int) -> float:
        """Estimate of the run time of `moved`: times its start on a few images."""
        few = torch.cat([(support.y == c).nonzero().flatten()[:TIMED] for c in range(k)])
        times: list[float] = []
        for _ in range(2):  # the first one includes one-off costs such as imports
            times = [time.monotonic()]
            descent = _Descent(self, encoder, support[few], k, 0)
            times.append(time.monotonic())
            descent.step()
            times.append(time.monotonic())
        begun, step = times[1] - times[0], times[2] - times[1]
        batch = min(len(support), max(BATCH, 2 * k))
        return (begun * len(support) + self.steps * step * batch) / len(few)

    def _moving(self, encoder: nn.Module) -> list[str]:
        """Names of the trained layers, from last to first."""
        if isinstance(encoder, MobileNet):
            rows = [row[1:4] for row in encoder.order if len(row) > 1]
            last = [name for name, _, kernel in rows if kernel == 1][-self.blocks :]
            if len(last) == self.blocks and len(rows) == len(encoder.order):
                return last
        raise ConfigError(
            f"{called(encoder)} is no MobileNet v1 with {self.blocks} pointwise convolutions: "
            "'auto' fine-tunes nothing else. Take encoder='mobilenet', or a method such as "
            "'lora'."
        )


class _Descent:
    """Training state: `encoder` is a copy of the given one, and is updated by each `step`."""

    @torch.no_grad()
    def __init__(
        self, how: Pointwise, encoder: nn.Module, support: Examples, k: int, seed: int
    ) -> None:
        names = how._moving(encoder)
        self.encoder: MobileNet = copy.deepcopy(encoder).requires_grad_(False)  # type: ignore[assignment]
        self.rng = torch.Generator().manual_seed(seed)
        self.y, self.k = support.y, k
        self.before = str(self.encoder.order[self.encoder.place(names[0]) - 1][1])
        self.maps = torch.stack([self._trunk(view) for view in self._views(support.x)])
        kernels = [self.encoder.layers[name].weight.requires_grad_(True) for name in names]
        z = torch.cat([self._features(part) for part in self.maps[0].split(AT_ONCE)])
        self.head = _head(_centered(z), self.y, k)
        rates = [{"params": kernels, "lr": how.lr}, {"params": self.head, "lr": HEAD_LR}]
        self.optimizer = torch.optim.Adam(rates)

    @torch.enable_grad()
    def step(self) -> None:
        """One step on a class-balanced batch, a random view of each image."""
        index = self._drawn()
        view = torch.randint(len(self.maps), (len(index),), generator=self.rng).to(index)
        weight, bias = self.head
        z = _centered(self._features(self.maps[view, index].float()))
        loss = F.cross_entropy(z @ weight.T + bias, self.y[index])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def _drawn(self) -> Int[Tensor, "m"]:
        if len(self.y) <= BATCH:
            return torch.arange(len(self.y), device=self.y.device)
        each = max(2, BATCH // self.k)
        members = [(self.y == c).nonzero().flatten() for c in range(self.k)]
        return torch.cat([m[self._order(len(m))[:each].to(m)] for m in members])

    def _order(self, n: int) -> Int[Tensor, "n"]:
        return torch.randperm(n, generator=self.rng)

    def _views(self, x: Float[Tensor, "n c h w"]) -> list[Tensor]:
        crops = [torch.stack([self._zoomed(image) for image in x]) for _ in range(2)]
        return [x, x.flip(3), crops[0], crops[1].flip(3)]

    def _zoomed(self, image: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
        side = image.shape[-1]
        share, down, right = torch.rand(3, generator=self.rng).tolist()
        shown = max(1, int(side * (SMALLEST + (LARGEST - SMALLEST) * share)))
        top, left = (int(place * (side - shown + 1)) for place in (down, right))
        crop = image[None, :, top : top + shown, left : left + shown]
        return F.interpolate(crop, (side, side), mode="bilinear")[0]

    def _trunk(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        parts = [self.encoder.maps(part, [self.before])[0] for part in x.split(AT_ONCE)]
        return torch.cat(parts)

    def _features(self, z: Float[Tensor, "n d i j"]) -> Float[Tensor, "n two f"]:
        """Mean and standard deviation over the last feature map."""
        last = self.encoder.onward(z, (), after=self.before)[0].flatten(2)
        return torch.stack([last.mean(2), (last.var(2, correction=0) + 1e-6).sqrt()], 1)


def _centered(z: Float[Tensor, "n two f"]) -> Float[Tensor, "n g"]:
    """Center and L2-normalize both blocks, concatenate, and normalize to length 1."""
    blocks = [normalized_rows(block - block.mean(0)) for block in z.unbind(1)]
    return torch.cat(blocks, 1) / len(blocks) ** 0.5


def _head(z: Float[Tensor, "n g"], y: Int[Tensor, "n"], k: int) -> list[Tensor]:
    """Weight `k g` and bias `k` of the logistic regression."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  (slow to import)

    fitted = LogisticRegression(C=HEAD_C, max_iter=300).fit(z.cpu().numpy(), y.cpu().numpy())
    weight, bias = (torch.from_numpy(a).to(z) for a in (fitted.coef_, fitted.intercept_))
    if k == 2:  # scikit-learn has one row for two classes: the odds of the second
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    return [weight.requires_grad_(True), bias.requires_grad_(True)]
