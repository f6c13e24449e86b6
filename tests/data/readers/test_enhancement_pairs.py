"""Pairs in memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from medshot.core.errors import DataError
from medshot.data.load import load
from medshot.data.readers.enhancement import read_pair
from medshot.data.tables.labels import Row
from medshot.tasks import Enhancement
from toys.pairs import pairs, save


@pytest.fixture
def dataset(tmp_path):
    return load(pairs(tmp_path / "set", 6), channels=1, size=32)


def test_examples_are_in_unit_range_with_their_patients(dataset):
    found = dataset.examples(torch.tensor([0, 3]))
    assert found.x.shape == found.y.shape == (2, 1, 32, 32)
    assert found.y.is_floating_point()
    assert found.y.max() <= 1
    assert found.groups.tolist() == [0, 1]
    assert dataset.task == Enhancement(1)


def test_another_form_is_read_from_the_files(dataset):
    wide = dataset.at(3, 34)
    assert wide.x.shape == (6, 3, 34, 34)
    assert torch.equal(wide.x[:, 0], wide.x[:, 2])
    assert dataset.at(1, 500).x.shape[-1] == 34  # no larger than the smallest image


def test_without_files_it_can_only_be_cut(dataset):
    bare = replace(dataset, rows=())
    assert torch.equal(bare.at(1, 16).y, dataset.y[:, :, :16, :16])
    with pytest.raises(DataError, match="no files to read again"):
        bare.at(1, 64)


def test_there_are_no_classes(dataset):
    assert dataset.counts() == {"enhanced image": 6}
    assert dataset.shows().all()
    with pytest.raises(DataError, match="by patient"):
        dataset.only([0])


def test_both_of_a_pair_have_the_window_of_the_image(tmp_path):
    given = np.linspace(1000, 3000, 400).reshape(20, 20).astype(np.uint16)
    for name, pixels in (("a.png", given), ("b.png", given // 2)):
        Image.fromarray(pixels).save(tmp_path / name)
    image, wanted, _ = read_pair(Row(tmp_path / "a.png", "", clean=tmp_path / "b.png"))
    low, high = np.percentile(given, (0.5, 99.5))
    expected = ((given // 2 - low) / (high - low)).clip(0, 1)
    np.testing.assert_allclose(wanted[:, :, 0], expected)
    assert image.max() == 1


def test_a_row_without_a_target_is_refused(tmp_path):
    save(tmp_path / "a.png", np.arange(16).reshape(4, 4))
    with pytest.raises(DataError, match=r"a\.png.* no target"):
        read_pair(Row(tmp_path / "a.png", ""))
