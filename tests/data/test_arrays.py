"""Data sets from arrays and from a torch Dataset."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

import medshot
import toys
from medshot.core.errors import ConfigError, DataError, ShapeError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 16, 16), dtype=np.uint8)
NAMES = ["cat", "dog", "dog"] * 4


@pytest.mark.parametrize(
    "x",
    [
        GREY,
        GREY[..., None],
        GREY[:, None],
        torch.from_numpy(GREY),
        GREY / 255,
        (GREY / 255).astype(np.float32),
    ],
)
def test_every_layout_and_type_is_the_same_images(x):
    found = medshot.dataset(x, NAMES)
    assert torch.equal(found.x, torch.from_numpy(GREY[:, None]))
    assert found.labels == ("cat", "dog")
    assert found.y.tolist() == [0, 1, 1] * 4


def test_color_may_stand_first_or_last():
    color = RNG.integers(0, 256, (4, 20, 16, 3), dtype=np.uint8)
    last = medshot.dataset(color, [0, 1, 0, 1])
    first = medshot.dataset(color.transpose(0, 3, 1, 2), [0, 1, 0, 1], labels=["a", "b"])
    assert torch.equal(last.x, first.x)
    assert last.x.shape == (4, 3, 20, 20)
    assert (last.labels, first.labels) == (("0", "1"), ("a", "b"))


def test_patients_are_known_again_and_may_be_unknown():
    who = ["b", "a", None, float("nan")] * 3
    found = medshot.dataset(GREY, NAMES, patients=who)
    assert found.groups.tolist() == [1, 0, -1, -1] * 3
    assert found.notes == ()
    assert medshot.dataset(GREY, NAMES).notes


@pytest.mark.parametrize(
    ("y", "more", "kind", "labels"),
    [
        (np.arange(12) / 7, {"labels": ["age"]}, "regression", ("age",)),
        (np.eye(12, 2, dtype=int), {}, "multi-label", ("finding 1", "finding 2")),
        ([0, 1, 2] * 4, {"task": "ordinal"}, "ordinal", ("0", "1", "2")),
        (GREY > 100, {}, "segmentation", ("background", "class 1")),
    ],
)
def test_targets_of_other_kinds(y, more, kind, labels):
    found = medshot.dataset(GREY, y, **more)
    assert found.kind == kind
    assert found.labels == labels
    assert kind in str(found)


def test_a_torch_dataset_is_read_once_and_learned_from():
    pairs = TensorDataset(torch.from_numpy(GREY[:, None] / 255), torch.tensor([0, 1, 1] * 4))
    found = medshot.dataset(pairs, labels=["cat", "dog"])
    assert found.y.tolist() == [0, 1, 1] * 4
    done = medshot.adapt(found, medshot.build("nearest-centroid", encoder=toys.conv4()))
    assert done.predictor.known_card().labels == ("cat", "dog")
    with pytest.raises(medshot.MedshotError, match="12 of the 12"):
        medshot.evaluate(done.predictor, data=medshot.dataset(GREY, NAMES))


@pytest.mark.parametrize(
    ("x", "y", "more", "error", "said"),
    [
        (GREY / 1.0, NAMES, {}, DataError, "from 0 to 255: numbers must be in"),
        (GREY.astype(np.int16), NAMES, {}, DataError, "type int16"),
        (GREY[:, None].repeat(5, 1), NAMES, {}, ShapeError, "12 x 5 x 16 x 16"),
        (GREY, NAMES[:3], {}, ShapeError, "12 images but 3 targets"),
        (GREY, None, {}, DataError, "no targets"),
        (GREY, NAMES, {"labels": ["cat"]}, DataError, "dog is not among"),
        (GREY, [0, 1, 2] * 4, {"labels": ["cat"]}, DataError, "from 0 to 2"),
        (GREY, NAMES, {"patients": [1]}, ShapeError, "1 patients"),
        (GREY, NAMES, {"task": "detection"}, ConfigError, "cannot be loaded from arrays"),
        (GREY, np.full(12, np.nan), {}, DataError, "finite number"),
        (GREY, GREY[:, :4], {}, ShapeError, "Masks of"),
    ],
)
def test_what_cannot_be_is_said(x, y, more, error, said):
    if said == "Masks of":
        more = {"labels": [str(i) for i in range(256)]}
    with pytest.raises(error, match=said):
        medshot.dataset(x, y, **more)


def test_names_are_cleaned_and_doubts_are_noted():
    names = np.array(["Cat ", "cat", "dog", "o\u0308l"] * 3)
    found = medshot.dataset(GREY, names, patients=range(12))
    assert found.labels == ("Cat", "cat", "dog", "öl")
    assert any("'Cat', 'cat'" in note for note in found.notes)
