"""Fine-tuning: gradient descent from the encoder's weights on the support alone."""

import copy

import torch
from torch import nn

from medshot.core import ConfigError, Examples, Learner, Predictor, Task
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import Linear
from medshot.tasks import EVERY


@register("finetune")
class FineTune(Learner):
    """Adam on a copy of the encoder and a new linear head, full support, `steps` steps.

    Source: Chen et al. 2019, arXiv:1904.04232 (the baseline), fine-tuning all weights as Guo et
    al. 2020, arXiv:1912.07200. No augmentation and no randomness, so that the same support gives
    the same predictor; with `batch`, each step uses at most that many images, in turn. On an
    untrained U-Net with a few hundred steps, this is the usual training from scratch.
    """

    supports = EVERY
    source = "Chen et al. 2019, arXiv:1904.04232; Kingma & Ba 2015, arXiv:1412.6980"
    trainable = False
    adapts_encoder = True
    exact = False

    def __init__(
        self, encoder: nn.Module, *, lr: float = 1e-3, steps: int = 50, batch: int | None = None
    ) -> None:
        super().__init__()
        if batch is not None and batch < 1:
            raise ConfigError(f"batch is {batch}, but must be at least 1 image per step.")
        self.encoder, self.lr, self.steps, self.batch = encoder, lr, steps, batch

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Minimize the support loss."""
        body = copy.deepcopy(self.encoder).eval()
        weight, bias = task.first_head(n_features(body), like=support.x)
        moving = [*body.parameters(), weight, bias]
        predictor = Linear(body, weight, bias)
        with torch.enable_grad():
            optimizer = torch.optim.Adam([p.requires_grad_() for p in moving], lr=self.lr)
            parts = -(-len(support) // (self.batch or len(support)))
            for step in range(self.steps):
                shown = support[step % parts :: parts]
                optimizer.zero_grad()
                loss = task.loss(predictor(shown.x), shown.y)
                loss.backward()
                optimizer.step()
        return predictor.freeze()
