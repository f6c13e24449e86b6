"""Folders of pairs: how they are known, and what is refused by name."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from medshot.core.errors import DataError
from medshot.data.load import load
from medshot.data.readers.enhancement import read_pair
from medshot.data.readers.registry import kind_of
from medshot.data.tables.labels import Row
from medshot.tasks import Enhancement
from toys.pairs import pairs, save


def table(folder, *rows, head="path,target"):
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "labels.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder


def test_targets_that_are_images_are_known(tmp_path):
    assert kind_of(pairs(tmp_path / "set", 2)) == "enhancement"
    assert kind_of(table(tmp_path / "numbers", "a.png,3.5")) != "enhancement"
    assert kind_of(table(tmp_path / "both", "a.png,b.png,x", head="path,target,label")) != (
        "enhancement"
    )


def test_the_busiest_square_of_both_is_taken_at_the_same_place(tmp_path):
    found = load(pairs(tmp_path / "set", 4), channels=1, size=20)
    noise = found.x.double() - found.y.double()
    assert found.x.shape == (4, 1, 20, 20)
    assert 15 < noise.std() < 30  # what was added, and nothing moved
    assert found.groups.tolist() == [0, 0, 1, 1]


def test_a_larger_target_gives_the_factor(tmp_path):
    found = load(pairs(tmp_path / "set", 2, factor=2), channels=1, size=64)
    assert found.preprocessing.factor == 2
    assert found.x.shape == (2, 1, 64, 64)
    assert torch.corrcoef(torch.stack([found.x.flatten(), found.y.flatten()]).float())[0, 1] > 0.8


def test_the_same_image_twice_is_taken_once(tmp_path):
    folder = pairs(tmp_path / "set", 3)
    (folder / "1.png").write_bytes((folder / "0.png").read_bytes())
    found = load(folder, channels=1, size=16)
    assert len(found) == 2
    assert "1.png is the same image as 0.png, with another target" in found.notes[0]


def _size(folder):
    save(folder / "clean" / "1.png", np.random.default_rng(0).integers(0, 256, (39, 34)))


def _same(folder):
    (folder / "clean" / "1.png").write_bytes((folder / "1.png").read_bytes())


def _constant(folder):
    save(folder / "1.png", np.full((40, 34), 7))


def _missing(folder):
    (folder / "clean" / "1.png").unlink()


def _truncated(folder):
    whole = (folder / "clean" / "1.png").read_bytes()
    (folder / "clean" / "1.png").write_bytes(whole[:200])


def _factor(folder):
    save(folder / "clean" / "1.png", np.random.default_rng(0).integers(0, 256, (80, 68)))


def _depth(folder):
    values = np.random.default_rng(0).random((40, 34)).astype(np.float32)
    _instead(folder, values)


def _nan(folder):
    values = np.random.default_rng(0).random((40, 34)).astype(np.float32)
    values[3, 3] = np.nan
    _instead(folder, values)


def _instead(folder, values):
    tifffile.imwrite(folder / "clean" / "1.tif", values)
    text = (folder / "labels.csv").read_text().replace("clean/1.png", "clean/1.tif")
    (folder / "labels.csv").write_text(text)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_size, r"39 x 34 pixels, and its image 1\.png has 40 x 34"),
        (_same, "the same pixels as its image"),
        (_constant, "same value everywhere"),
        (_missing, r"clean.1\.png.*does not exist"),
        (_truncated, r"clean.1\.png.*damaged"),
        (_factor, "2 times as large as it, and that of 0.png 1 times"),
        (_depth, "of the type float32"),
        (_nan, "not finite"),
    ],
)
def test_what_is_wrong_is_said_by_name_and_line(tmp_path, spoil, said):
    folder = pairs(tmp_path / "set", 3)
    spoil(folder)
    with pytest.raises(DataError, match=said) as found:
        load(folder, channels=1, size=16)
    assert "line 3" in str(found.value)


def test_a_target_outside_of_the_folder_is_refused(tmp_path):
    folder = table(tmp_path / "set", "a.png,../b.png")
    with pytest.raises(DataError, match="outside"):
        load(folder)


def test_an_empty_target_is_refused(tmp_path):
    folder = table(tmp_path / "set", "a.png,b.png", "c.png,")
    with pytest.raises(DataError, match="line 3: target is empty"):
        load(folder)


# Pairs in memory.


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
    assert dataset.present_classes().all()
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
