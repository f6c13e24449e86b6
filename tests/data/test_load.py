import shutil
from pathlib import Path

import pytest
import torch

import medshot
from medshot.core.errors import DataError
from medshot.data.dataset import Dataset
from medshot.data.load import load
from toys.files import Write

SETS = (
    "brain_mri_tumor", "covid_ct", "covid_cxr", "head_ct_hemorrhage", "lung_ct_iqoth",
    "lung_histology", "medical_mnist", "pneumonia_mnist", "skin_ham10000",
)  # fmt: skip
COUNTS = {
    "covid_cxr": {"covid19": 123, "no_finding": 140, "pneumonia": 140},
    "skin_ham10000": {
        "akiec": 150, "bcc": 150, "bkl": 150, "df": 100, "mel": 150, "nv": 150, "vasc": 110
    },
}  # fmt: skip


def one(folder: Path) -> Dataset:
    found = load(folder)
    assert isinstance(found, Dataset)
    return found


def test_a_table_gives_a_data_set(table: Write, tmp_path: Path) -> None:
    rows = ("b.png,y,p2,test", "a.png,x,p1,train", "c.png,x,,")
    (tmp_path / "README.md").write_text("# Set\n\n## Licence\nCC BY 4.0,\nby us.\n\n## More\n")
    found = one(table(*rows, columns="path,label,patient,split"))
    assert found.name == tmp_path.name
    assert found.labels == ("x", "y")
    assert found.y.tolist() == [1, 0, 0]
    assert found.groups.tolist() == [1, 0, -1]
    assert found.split == ("test", "train", "")
    assert found.licence == "CC BY 4.0, by us."
    assert found.x.shape == (3, 3, 64, 64)
    for x, row in zip(found.x, found.rows, strict=True):
        assert torch.equal(x, torch.from_numpy(found.preprocessing.pixels(row.path).copy()))


def test_form_and_several_folders(write: Write, tmp_path: Path) -> None:
    for name in ("s/a/1.png", "s/b/2.png", "t/a/1.png", "t/b/2.png"):
        write(name)
    two = load(tmp_path / "s", str(tmp_path / "t"), channels=1, size=8)
    assert isinstance(two, list)
    assert [d.x.shape for d in two] == [(2, 1, 8, 8)] * 2
    assert two[0].notes == ("No patient ids: scores may be optimistic.",)
    with pytest.raises(DataError, match="at least one folder"):
        load()


def test_a_class_with_one_image_loads(write: Write, tmp_path: Path) -> None:
    write("a/1.png"), write("b/2.png"), write("b/3.png")
    assert one(tmp_path).counts() == {"a": 1, "b": 2}


def test_hash_is_of_the_content_only(table: Write, tmp_path: Path, write: Write) -> None:
    folder = tmp_path / "moved"
    rows = ["a.png,x,p", "b.png,y,q"]
    here = one(table(*rows, columns="path,label,patient")).hash
    shutil.copytree(tmp_path, folder)
    assert one(folder).hash == here
    assert one(table(*rows[::-1], columns="path,label,patient")).hash == here
    changed = {
        one(table("a.png,z,p", rows[1], columns="path,label,patient")).hash,
        one(table("a.png,x,r", rows[1], columns="path,label,patient")).hash,
        one(table("c.png,x,p", rows[1], columns="path,label,patient")).hash,
        one(table(rows[0], rows[1], "c.png,y,q", columns="path,label,patient")).hash,
    }
    write("a.png")  # other pixels
    changed.add(one(table(*rows, columns="path,label,patient")).hash)
    assert len(changed | {here}) == 6


def test_a_relative_folder_has_the_same_hash(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("set/a/1.png"), write("set/b/2.png")
    monkeypatch.chdir(tmp_path)
    assert one(Path("set")).hash == one(tmp_path / "set").hash


def test_errors_name_file_and_line(table: Write, tmp_path: Path) -> None:
    table("a.png,x", "b.png,y")
    (tmp_path / "b.png").unlink()
    with pytest.raises(DataError, match=r"b\.png \(labels\.csv, line 3\): it does not exist"):
        load(tmp_path)
    (tmp_path / "b.png").write_text("no image")
    with pytest.raises(DataError, match=r"line 3\): it is no \.png image"):
        load(tmp_path)
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    with pytest.raises(DataError, match="same image under two labels") as caught:
        load(tmp_path)
    assert all(str(tmp_path / name) in str(caught.value) for name in ("a.png", "b.png"))
    table("a.png,x", "a.png,y", "c.png,y")
    with pytest.raises(DataError, match="lines 2, 3, under the labels x and y"):
        load(tmp_path)


def test_the_same_image_twice_under_one_label_loads(table: Write, tmp_path: Path) -> None:
    table("a.png,x", "b.png,y", "c.png,x")
    shutil.copy(tmp_path / "a.png", tmp_path / "c.png")
    assert len(one(tmp_path)) == 3


@pytest.mark.parametrize("name", SETS)
def test_every_real_set_loads_as_it_is(real_data: Path, name: str) -> None:
    found = medshot.load(real_data / f"cls_{name}")
    assert isinstance(found, Dataset)
    assert found.x.shape[1:] == (3, 64, 64)
    assert min(found.counts().values()) > 1
    assert found.counts() == COUNTS.get(name, found.counts())
    assert found.licence != "not stated"
    if name == "covid_cxr":  # 82 patients of the first class, of whom the others say nothing
        assert len(found.subset((found.y == 0).nonzero().flatten()).groups.unique()) == 82
