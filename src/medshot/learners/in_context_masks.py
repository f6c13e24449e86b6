"""In-context segmentation: a network reads images with masks and answers, and nothing is fitted."""

import copy
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.registry import register
from medshot.nn.dense_context import DenseReader, DenseReading
from medshot.nn.encoder import n_features
from medshot.nn.features import features, labelled_sites
from medshot.nn.random_ridge import random_ridge
from medshot.tasks import Segmentation

BATCH = 4  # images on each side of a step


@register("in-context-masks")
class InContextMasks(Learner):
    """Support images with their masks in, the query's mask out; new tasks need no training.

    Source: Butoi et al. 2023, UniverSeg, arXiv:2304.06131 (a network, trained on many tasks, that
    takes the support as an input); the maps of single pixels and of `patch` x `patch` pixels are
    in the manner of the prototypes of Ouyang et al. 2020, arXiv:2007.09886.

    Where we differ: UniverSeg lets query and support interact in every layer, so that each query
    is a pass over the whole support again. Here one encoder sees every image by itself. Of the
    support a linear map and one key a patch are kept (see `DenseReader`), and a query costs its
    own pass and one attention. All classes of a task are answered at once, and compete.

    Beside it stands, where `more` is not 0, a ridge regression on the features of a pixel and
    `more` random mixtures of them, fitted to this support: what is read was learnt on other tasks,
    and texture that none of them had is told apart by it. Nothing of it is meta-trained.

    With `steps`, a copy of the network first practises on the support: so many steps of Adam, in
    each of which it reads some of the images and is asked about others, mirrored and turned.
    """

    supports = (Segmentation,)
    source = "Butoi et al. 2023, arXiv:2304.06131"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        patch: int = 8,
        width: int = 32,
        heads: int = 2,
        hidden: int = 16,
        more: int = 256,
        steps: int = 0,
        lr: float = 0.003,
    ) -> None:
        super().__init__()
        sizes = {"patch": patch, "width": width, "heads": heads, "hidden": hidden}
        if min(sizes.values()) < 1 or min(more, steps) < 0:
            said = ", ".join(f"{name}={value}" for name, value in sizes.items())
            raise ConfigError(
                f"{said}: each is at least 1, and more={more} and steps={steps} at least 0."
            )
        self.encoder, self.more, self.steps, self.lr = encoder, more, steps, lr
        self.reader = DenseReader(n_features(encoder), **sizes)

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Read the support once, and look at its texture; with `steps`, practise before."""
        learner = self._practised(support, task) if self.steps else self
        return learner._read(support, task, self.more)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The query loss of what is read alone: the texture has nothing to train."""
        predictor = self._read(episode.support, episode.task)
        return episode.task.loss(predictor(episode.query.x), episode.query.y)

    def _read(self, support: Examples, task: Task, more: int = 0) -> DenseReading:
        z = features(self.encoder, support.x, unit=False)
        memory = self.reader.remember(z, support.y, task.n_outputs)
        rows = labelled_sites(z.detach(), support.y)
        texture = random_ridge(*rows, task.n_outputs, more) if more else None
        return DenseReading(self.encoder, self.reader, *memory, texture)

    def _practised(self, support: Examples, task: Task) -> "InContextMasks":
        """A copy of this learner that has practised."""
        other = copy.deepcopy(self).requires_grad_(True)
        with torch.enable_grad():
            optimizer = torch.optim.Adam(other.parameters(), lr=self.lr)
            for shown, asked in _halves(support, task.n_outputs, self.steps):
                optimizer.zero_grad()
                task.loss(other._read(shown, task)(asked.x), asked.y).backward()
                optimizer.step()
        return other.requires_grad_(False)


def _halves(support: Examples, k: int, steps: int) -> Iterator[tuple[Examples, Examples]]:
    """Some images to read and some to answer, turned, drawn once and for all; all classes are read.

    Of one image alone, it is read as it is asked about, turned otherwise.
    """
    rng = torch.Generator().manual_seed(0)
    half = min(BATCH, len(support) // 2)
    for _ in range(steps):
        order = torch.randperm(len(support), generator=rng).to(support.y.device)
        shown, asked = (order[:half], order[half : half + BATCH]) if half else (order, order)
        if all((support.y[shown] == c).any() for c in range(k)):
            yield _turned(support[shown], rng), _turned(support[asked], rng)


def _turned(examples: Examples, rng: torch.Generator) -> Examples:
    """All images mirrored and turned by right angles, alike."""
    mirrored, quarters = (int(torch.randint(n, (1,), generator=rng)) for n in (2, 4))
    x, y = (each.flip(-1) if mirrored else each for each in (examples.x, examples.y))
    x, y = (each.rot90(quarters, (-2, -1)).contiguous() for each in (x, y))
    return Examples(x, y)
