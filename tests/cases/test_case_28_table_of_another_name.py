"""A table that is called Labels.csv, labels.tsv or metadata.csv."""

import pytest

import medshot
from toys.picture_folders import listed, pictures

NAMES = [f"{i}.png" for i in range(8)]


@pytest.mark.parametrize("name", ["Labels.csv", "LABELS.CSV", "labels.tsv", "Labels.txt"])
def test_labels_in_other_case_are_read(tmp_path, name):
    folder = listed(
        pictures(tmp_path, NAMES), [f"{n},{'ab'[i % 2]},p{i}" for i, n in enumerate(NAMES)]
    )
    (folder / "labels.csv").rename(folder / name)
    assert medshot.load(folder).counts() == {"a": 4, "b": 4}
    assert not medshot.check(folder).errors


@pytest.mark.parametrize("name", ["metadata.csv", "train.csv"])
def test_another_name_is_told(tmp_path, name):
    folder = listed(
        pictures(tmp_path, NAMES), [f"{n},{'ab'[i % 2]},p{i}" for i, n in enumerate(NAMES)]
    )
    (folder / "labels.csv").rename(folder / name)
    (error,) = medshot.check(folder).errors
    assert error.file == folder / name
    assert error.fix == "Call it labels.csv."
