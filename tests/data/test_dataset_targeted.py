"""Data sets whose targets are no single class: numbers, grades, findings."""

import pytest
import torch

from medshot.core.errors import DataError
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import folds_of
from medshot.tasks import MultiLabel, Ordinal, Regression
from toys.files import toy

N = 12


def _like(task, y, labels):
    plain = vars(toy([0] * N))
    return Dataset(**plain | {"y": y, "labels": labels, "task": task})


def measured(y=None):
    values = torch.arange(N, dtype=torch.float64) if y is None else y
    return _like(Regression(0), values[:, None], ("mm",))


def found():
    y = torch.tensor([[1, 0], [0, 1], [0, 0]]).repeat(N // 3, 1)
    return _like(MultiLabel(0), y, ("edema", "effusion"))


def graded():
    return _like(Ordinal(0), torch.arange(N) % 3, ("0", "1", "2"))


@pytest.mark.parametrize("made", [measured, found, graded])
def test_an_episode_has_so_many_images_in_all(made):
    episode = made().episodes(way=2, shot=6, query=4).episode(0)
    assert (len(episode.support), len(episode.query)) == (6, 4)
    episode.task.check(episode.support.y)


@pytest.mark.parametrize("made", [measured, found, graded])
def test_it_is_split_by_patient_only(made):
    with pytest.raises(DataError, match="by patient"):
        made().only([0])


def test_the_unit_of_an_episode_is_that_of_its_support_alone():
    episode = measured().episodes(way=1, shot=4, query=4).episode(3)
    assert episode.task == Regression(1).fitted(episode.support.y)
    together = torch.cat([episode.support.y, episode.query.y])
    assert episode.task != Regression(1).fitted(together)


def test_the_unit_of_a_fold_does_not_know_what_is_left_out():
    data = measured()
    (rest, _), *_ = folds_of(data.shows(), data.groups)
    _, card = data.subset(rest).support(torch.nn.Identity())
    assert card.task == Regression(1).fitted(data.y[rest])
    assert card.task != Regression(1).fitted(data.y)


def test_every_fold_has_each_finding_to_learn_from_and_images_without_it():
    data = found()
    folds = folds_of(data.shows(), data.groups)
    assert len(folds) == 4
    for rest, _ in folds:
        data.task.check(data.y[rest])


def test_a_support_whose_numbers_are_all_equal_can_still_be_drawn():
    episode = measured(torch.ones(N, dtype=torch.float64)).episodes(way=1, shot=2, query=2)
    assert episode.episode(0).task == Regression(1, (1.0,), (1.0,))
