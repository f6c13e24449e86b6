"""Images in the form of a model, with its labels; those that it learned from are known."""

from dataclasses import replace

import pytest
import torch

import toys
from medshot.core.errors import DataError, LeakError
from medshot.core.predictor import load_predictor
from medshot.data.dataset import Dataset
from medshot.data.load import images_for, in_form, load, refuse_learned_from
from medshot.learners.registry import build
from medshot.tasks import Detection, MultiLabel, Segmentation
from medshot.tasks.boxes import NO_BOX
from toys.commands import folder


def _card(place):
    mine = folder(place / "mine", (4, 4, 4))
    return build("nearest-centroid", encoder=toys.conv4()).adapt(load(mine)).known_card()


def test_images_come_in_the_form_that_the_model_takes(tmp_path):
    card = _card(tmp_path)
    found = images_for(card, tmp_path / "mine")
    assert found.x.shape[1:] == (1, toys.SIZE, toys.SIZE)
    assert found.labels == card.labels
    assert torch.equal(in_form(card, load(tmp_path / "mine")).x, found.x)


def test_a_folder_with_some_of_the_classes_keeps_their_numbers(tmp_path):
    card = _card(tmp_path)
    found = images_for(card, folder(tmp_path / "two", (2, 3), labels=("grey", "dark")))
    assert found.labels == card.labels == ("bright", "dark", "grey")
    assert found.counts() == {"bright": 0, "dark": 3, "grey": 2}


def test_a_label_that_the_model_does_not_know_is_named(tmp_path):
    card = _card(tmp_path)
    with pytest.raises(DataError, match=r"another among .* another, bright.*bright, dark, grey"):
        images_for(card, folder(tmp_path / "two", (2, 2), labels=("bright", "another")))


def test_a_file_that_was_learned_from_is_known_again_wherever_it_lies(tmp_path):
    card = _card(tmp_path)
    with pytest.raises(LeakError, match=r"12 of the 12 images of mine"):
        refuse_learned_from(card, load(tmp_path / "mine"))
    some = load(folder(tmp_path / "some", (2, 2, 2), first=3))
    with pytest.raises(LeakError, match=r"Mine learned from 3 of the 6 .*some \(first: 0-0\.png\)"):
        refuse_learned_from(card, some, "Mine")
    refuse_learned_from(card, load(folder(tmp_path / "others", (2, 2, 2), first=10)))
    before = replace(card, data={n: v for n, v in card.data.items() if n != "files"})
    with pytest.raises(LeakError):
        refuse_learned_from(before, load(tmp_path / "mine"))


def test_a_saved_card_knows_the_files_too(tmp_path):
    mine = load(folder(tmp_path / "mine", (3, 3)))
    build("nearest-centroid", encoder=toys.conv4()).adapt(mine).save(tmp_path / "model")
    saved = load_predictor(tmp_path / "model").known_card()
    with pytest.raises(LeakError):
        refuse_learned_from(saved, mine.subset(torch.tensor([0])))


def test_targets_of_other_kinds_are_numbered_anew(tmp_path):
    base = toys.dataset(2, 1)
    same = {n: getattr(base, n) for n in ("name", "x", "groups", "preprocessing", "hash")}
    y = torch.tensor([[1, 0], [1, 1]])
    found = Dataset(y=y, labels=("b", "d"), task=MultiLabel(2), **same)
    found = found.numbered_as(("a", "b", "c", "d"))
    assert found.y.tolist() == [[0, 1, 0, 0], [0, 1, 0, 1]]
    boxes = torch.tensor([[[0.1, 0.1, 0.2, 0.2, 0.0]], [[0.0, 0.0, 0.0, 0.0, float(NO_BOX)]]])
    boxed = Dataset(y=boxes, labels=("b",), task=Detection.of(1), **same)
    boxed = boxed.numbered_as(("a", "b"))
    assert boxed.y[:, 0, 4].tolist() == [1, NO_BOX]
    masks = torch.zeros(2, toys.SIZE, toys.SIZE, dtype=torch.uint8)
    two = ("background", "foreground")
    masked = Dataset(y=masks, labels=two, task=Segmentation(2), **same)
    three = ("background", "1", "2")
    assert masked.numbered_as(three).labels == three
    assert torch.equal(masked.numbered_as(three).y, masks)
    with pytest.raises(DataError, match=r"numbers up to 1.*knows 1 classes"):
        masked.numbered_as(("background",))
