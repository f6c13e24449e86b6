"""Fine-tuning: gradient descent from the encoder's weights on the support alone."""

import copy

import torch
from torch import Tensor, nn

from medshot.core import ConfigError, Examples, Learner, Predictor, Task
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import Linear
from medshot.tasks import EVERY

OF_IMAGES = (1e-3, 50, None)  # learning rate, steps, images a step: for a target an image
OF_SITES = (1e-2, 200, 4)  # for a class a pixel: docs/log.md
PLANE = 4  # dimensions of a batch of images n c h w


@register("finetune")
class FineTune(Learner):
    """Adam on a copy of the encoder and a new linear head, `steps` steps.

    Source: Chen et al. 2019, arXiv:1904.04232 (the baseline), fine-tuning all weights as Guo et
    al. 2020, arXiv:1912.07200. No randomness, so that the same support gives the same predictor;
    with `batch`, each step uses at most that many images, in turn. By default 50 steps at a rate of
    0.001 on the full support; for masks 200 at 0.01 on 4 images. On an untrained U-Net, this is the
    usual training from scratch.

    For masks, the biases of the head start at the logarithm of the share of each class (Lin et al.
    2017, arXiv:1708.02002, section 3.3): from zero, a few hundred steps go by before a class that
    fills a hundredth of the image is predicted anywhere. With `flips`, images
    with masks are flipped in turn, by default.
    """

    supports = EVERY
    source = "Chen et al. 2019, arXiv:1904.04232; Kingma & Ba 2015, arXiv:1412.6980"
    trainable = False
    adapts_encoder = True
    exact = False

    def __init__(
        self,
        encoder: nn.Module,
        *,
        lr: float | None = None,
        steps: int | None = None,
        batch: int | None = None,
        flips: bool = True,
    ) -> None:
        super().__init__()
        if batch is not None and batch < 1:
            raise ConfigError(f"batch is {batch}, but must be at least 1 image per step.")
        self.encoder, self.flips = encoder, flips
        self.lr, self.steps, self.batch = lr, steps, batch

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Minimize the support loss."""
        lr, steps, batch = self.schedule(support)
        body = copy.deepcopy(self.encoder).eval()
        weight, bias = task.first_head(n_features(body), like=support.x)
        masks = has_classes_of_sites(support)
        if masks:
            bias = log_shares(support.y, len(bias)).to(bias)
        flips = self.flips and masks and support.x.ndim == PLANE
        moving = [*body.parameters(), weight, bias]
        predictor = Linear(body, weight, bias)
        with torch.enable_grad():
            optimizer = torch.optim.Adam([p.requires_grad_() for p in moving], lr=lr)
            parts = -(-len(support) // (batch or len(support)))
            if parts > 1:  # the order of the support does not matter
                support = support[support.x.flatten(1).double().mean(1).argsort(stable=True)]
            for step in range(steps):
                shown = support[step % parts :: parts]
                way = step // parts if flips else 0
                axes = [axis for i, axis in enumerate((-1, -2)) if way >> i & 1]
                optimizer.zero_grad()
                x, y = (t.flip(axes) if axes else t for t in (shown.x, shown.y))
                task.loss(predictor(x), y).backward()
                optimizer.step()
        return predictor.freeze()

    def schedule(self, support: Examples) -> tuple[float, int, int | None]:
        """Learning rate, steps and images a step: as given, else the default for such targets."""
        lr, steps, batch = OF_SITES if has_classes_of_sites(support) else OF_IMAGES
        return (
            lr if self.lr is None else self.lr,
            steps if self.steps is None else self.steps,
            batch if self.batch is None else self.batch,
        )


def has_classes_of_sites(support: Examples) -> bool:
    """Whether the target is a class a pixel (or voxel)."""
    y, x = support.y, support.x
    return y.ndim > 1 and not y.is_floating_point() and y.shape[1:] == x.shape[2:]


def log_shares(target: Tensor, k: int) -> Tensor:
    """Logarithm of the share of each of `k` classes of the labeled sites, at least one site."""
    counts = torch.bincount(target[target >= 0].flatten(), minlength=k).clamp(min=1)
    return (counts / counts.sum()).log()
