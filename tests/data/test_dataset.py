""""""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medshot.core.errors import DataError, ShapeError
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.evaluation.cross_validation import folds_of
from medshot.tasks import MultiLabel, Ordinal, Regression
from toys.files import Write, toy


def test_counts_and_what_is_said() -> None:
    data = toy([0, 1, 1, 2], groups=[0, 0, 1, -1])
    assert len(data) == 4
    assert data.counts() == {"class0": 1, "class1": 2, "class2": 1}
    assert data.has_patients
    about = data.about()
    assert about["patients"] == 2
    assert about["images"] == data.counts()
    assert toy([0, 1]).about()["patients"] == "not known"


def test_examples_are_in_the_unit_range() -> None:
    found = toy([0, 1, 1], groups=[4, 5, 6]).examples(torch.tensor([2, 0]))
    assert torch.equal(found.x[:, 0, 0, 0], torch.tensor([2.0, 0.0]) / 255)
    assert found.y.tolist() == [1, 0]
    assert found.groups is not None
    assert found.groups.tolist() == [6, 4]


def test_subset_and_only() -> None:
    data = toy([0, 1, 2, 1], groups=[0, 1, 2, 3])
    part = data.subset(torch.tensor([3, 0]))
    assert part.y.tolist() == [1, 0]
    assert part.labels == data.labels
    chosen = data.only([2, 1])
    assert chosen.labels == ("class2", "class1")
    assert chosen.y.tolist() == [0, 1, 1]
    assert chosen.x[:, 0, 0, 0].tolist() == [2, 1, 3]


def test_another_form_is_made_from_the_files(write: Write, tmp_path: Path) -> None:
    write("a/1.png", (40, 40, 3)), write("b/2.png", (40, 40, 3))
    small = load_one(tmp_path, size=8)
    again = small.at(3, 40)
    assert torch.equal(again.x, load_one(tmp_path, size=40).x)
    assert again.preprocessing.size == 40
    assert small.at(3, 8) is small
    part = small.subset(torch.tensor([1])).at(1, 16)
    assert torch.equal(part.x, load_one(tmp_path, channels=1, size=16).x[1:])


def test_without_files_the_tensor_is_resized() -> None:
    data = toy([0, 1, 1], size=8)
    other = data.at(3, 4)
    assert other.x.shape == (3, 3, 4, 4)
    assert torch.equal(other.x[2], torch.full((3, 4, 4), 2, dtype=torch.uint8))
    assert torch.equal(other.at(1, 8).x, data.x)
    with pytest.raises(ShapeError, match="1 or 3"):
        replace(data, x=torch.zeros(3, 2, 8, 8, dtype=torch.uint8)).at(3, 4)


def test_a_support_is_in_the_form_of_the_encoder() -> None:
    encoder = nn.Identity()
    encoder.channels, encoder.size = 3, 6
    data = toy([0, 1, 1])
    support, card = data.support(encoder)
    assert support.x.shape == (3, 3, 6, 6)
    assert card.labels == data.labels
    assert card.task.n_outputs == 2
    assert (card.preprocessing.channels, card.preprocessing.size) == (3, 6)
    assert data.support(nn.Identity())[0].x.shape == (3, 1, 4, 4)


def test_files_keep_their_rows(table: Write, tmp_path: Path) -> None:
    data = load_one(table("a.png,x", "b.png,y", "c.png,y"), size=8)
    part = data.subset(torch.from_numpy(np.array([2, 0])))
    assert [row.path.name for row in part.rows] == ["c.png", "a.png"]


# Data sets whose targets are no single class: numbers, grades, findings.


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
    (rest, _), *_ = folds_of(data.present_classes(), data.groups)
    _, card = data.subset(rest).support(torch.nn.Identity())
    assert card.task == Regression(1).fitted(data.y[rest])
    assert card.task != Regression(1).fitted(data.y)


def test_every_fold_has_each_finding_to_learn_from_and_images_without_it():
    data = found()
    folds = folds_of(data.present_classes(), data.groups)
    assert len(folds) == 4
    for rest, _ in folds:
        data.task.check(data.y[rest])


def test_a_support_whose_numbers_are_all_equal_can_still_be_drawn():
    episode = measured(torch.ones(N, dtype=torch.float64)).episodes(way=1, shot=2, query=2)
    assert episode.episode(0).task == Regression(1, (1.0,), (1.0,))


def test_classes_are_known_in_another_spelling():
    data = replace(toy([0, 1, 1]), labels=("benign ", "01"))
    found = data.numbered_as(("1", "Benign"))
    assert found.labels == ("1", "Benign")
    assert found.y.tolist() == [1, 0, 0]
    with pytest.raises(DataError, match="benign"):
        data.numbered_as(("1", "Benign", "BENIGN"))
