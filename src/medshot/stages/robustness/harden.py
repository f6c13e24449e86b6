"""Adversarial fine-tuning of a predictor, and adversarial querying in meta-training.

In both the query is attacked as it is learned from.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core import (
    ConfigError,
    DataError,
    Episode,
    Examples,
    Learner,
    Predictor,
    Task,
    TaskError,
    any_tensor,
    freeze_copy,
    unfreeze_copy,
    unknown,
)
from medshot.data.dataset import Dataset
from medshot.stages.robustness.attacks import FGSM, PGD, Attack
from medshot.stages.robustness.threat_model import ThreatModel
from medshot.training.objective import AuxiliaryLoss
from medshot.training.progress import Watch, quiet
from medshot.training.trainer import batch_of, descend


class AdversarialQuerying(AuxiliaryLoss):
    """Puts the query loss on attacked images in the place of `share` of that on images as they are.

    Source: Goldblum, Fowl & Goldstein 2020, arXiv:1910.00982. Learn from the support as it is,
    attack the query of what was learned, descend on the loss there. That is a share of 1, if the
    learner's meta-loss is its query loss; of other learners the share is added to their own.

    Where we differ: the attack begins at the image and not beside it, so that a step is a function
    of its episodes alone, whoever takes it. It costs one more adaptation and `steps` times a
    forward and a backward pass over the query.

    Raises:
        ConfigError: an epsilon, norm or number of steps that cannot be, or a share outside (0, 1].
    """

    source = "Goldblum et al. 2020, arXiv:1910.00982"
    vectorizes = False

    def __init__(
        self, epsilon: float = 8 / 255, *, norm: str = "linf", steps: int = 7, share: float = 1.0
    ) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ConfigError(f"The share of the attacked query is in (0, 1], not {share}.")
        self.attack = PGD(ThreatModel(epsilon, norm), steps=steps, random_start=False)
        self.share = share

    def value(self, learner: Learner, episodes: Sequence[Episode]) -> Float[Tensor, ""]:
        """`share` times what the attack adds to the query loss, the mean over these episodes."""
        return self.share * torch.stack([self._added(learner, e) for e in episodes]).mean()

    def describe(self) -> dict[str, Any]:
        """Its attack and share."""
        return {"term": "adversarial querying", **self.attack.describe(), "share": self.share}

    def _added(self, learner: Learner, episode: Episode) -> Float[Tensor, ""]:
        task, query = episode.task, episode.query
        predictor = learner.learn(episode.support, task)
        attacked = self.attack(predictor, task, query)
        return task.loss(predictor(attacked), query.y) - task.loss(predictor(query.x), query.y)


AGAINST = ("fgsm", "pgd")
FURTHER = 1.25  # of epsilon: the one step of fast training, from a random start


def harden(
    predictor: Predictor,
    data: Dataset | Examples,
    *,
    attack: str = "pgd",
    epsilon: float = 4 / 255,
    norm: str = "linf",
    attack_steps: int = 7,
    share: float = 0.5,
    steps: int = 300,
    lr: float = 1e-3,
    batch: int = 16,
    seed: int = 0,
    folder: Path | None = None,
    watch: Watch = quiet,
) -> Predictor:
    """A predictor that holds out better against small changes of images in [0, 1].

    `predictor` stays as it is. All weights of a copy, the head's too, go on learning from `data`;
    at each step its images are attacked anew, within `epsilon`. `share` of the loss is that of
    attacked images, the rest that of the images as they are. With `folder` a descent that was
    killed goes on from there.

    Source: Madry et al. 2018, arXiv:1706.06083 (`pgd`, with a share of 1); Wong, Rice & Kolter
    2020, arXiv:2001.03994 (`fgsm`: one step of 1.25 epsilon from a random start); Goodfellow et al.
    2015, arXiv:1412.6572 (half clean, half attacked). Where we differ: they train from scratch on
    large sets, here a predictor that has learned is tuned on few images, in eval mode: the
    statistics that a batch norm has kept stay.

    Raises:
        ConfigError: an attack, epsilon, norm, share or number that cannot be.
        DataError: images that cannot teach the predictor's task (none, a class absent).
        TaskError: the predictor passes no gradient to its images, or takes volumes.
        TrainingError: the loss is no longer finite.
    """
    card = predictor.known_card()
    refuse_volumes(predictor)
    shown = data.examples() if isinstance(data, Dataset) else data
    against = _against(attack, ThreatModel(epsilon, norm), attack_steps, seed=0).describe()
    _check(card.task, shown, share, batch)
    copied, shown = unfreeze_copy(predictor), shown.to(any_tensor(predictor))
    refuse_unattackable(copied, card.task, shown, ThreatModel(epsilon, norm))

    def loss(step: int) -> Tensor:
        some = shown[batch_of(step, len(shown), batch, seed)]
        made = _against(attack, ThreatModel(epsilon, norm), attack_steps, seed=step)
        attacked = card.task.loss(copied(made(copied, card.task, some)), some.y)
        if share == 1:
            return attacked
        return share * attacked + (1 - share) * card.task.loss(copied(some.x), some.y)

    about: dict[str, Any] = {**against, "share": share, "steps": steps, "images": len(shown)}
    kept = {**about, "batch": batch, "seed": seed, "data": getattr(data, "hash", "not known")}
    descend(copied, loss, steps=steps, lr=lr, folder=folder, settings=kept, watch=watch)
    return freeze_copy(copied).with_card(card.after("harden", **about))


def refuse_volumes(predictor: Predictor) -> None:
    """Raise `TaskError` for a predictor of volumes: attacks on whole volumes are not tried."""
    if predictor.known_card().preprocessing.dims != 2:
        raise TaskError("This model takes volumes: attacks and hardening are for images.")


def refuse_unattackable(
    predictor: Predictor, task: Task, shown: Examples, budget: ThreatModel
) -> None:
    """What an attack would find out later, found before anything is begun or kept."""
    budget.check(shown.x)
    FGSM(budget)(predictor, task, shown[:1])


def _against(attack: str, budget: ThreatModel, steps: int, *, seed: int) -> Attack:
    if attack not in AGAINST:
        raise unknown(attack, AGAINST, kind="attack to harden against")
    if attack == "fgsm":
        return PGD(budget, steps=1, rate=FURTHER * budget.epsilon, seed=seed)
    return PGD(budget, steps=steps, seed=seed)


def _check(task: Task, shown: Examples, share: float, batch: int) -> None:
    if not 0 < share <= 1:
        raise ConfigError(f"The share of attacked images is in (0, 1], not {share}.")
    if batch < 1:
        raise ConfigError(f"batch is {batch}, but must be at least 1.")
    if not len(shown):
        raise DataError("There is no image to harden on. Give at least one of each class.")
    task.check(shown.y)
