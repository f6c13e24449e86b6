"""Folders of pairs: how they are known, and what is refused by name."""

import numpy as np
import pytest
import tifffile
import torch

from medshot.core.errors import DataError
from medshot.data.load import load
from medshot.data.readers.registry import kind_of
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
