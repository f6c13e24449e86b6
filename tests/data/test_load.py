""""""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import medshot
import toys
from medshot.core.errors import DataError, LeakError
from medshot.core.predictor import load_predictor
from medshot.data.dataset import Dataset
from medshot.data.load import images_for, in_form, load, refuse_learned_from
from medshot.learners.registry import build
from medshot.tasks import Detection, MultiLabel, Segmentation
from medshot.tasks.boxes import NO_BOX
from toys.commands import folder
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
    with pytest.raises(DataError, match=r"b\.png \(labels\.csv, line 3\)"):
        load(tmp_path)
    (tmp_path / "b.png").write_text("no image")
    with pytest.raises(DataError, match=r"line 3\): it is no \.png image"):
        load(tmp_path)
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    with pytest.raises(DataError, match="same image under two labels") as caught:
        load(tmp_path)
    assert all(str(tmp_path / name) in str(caught.value) for name in ("a.png", "b.png"))
    table("a.png,x", "a.png,y", "c.png,y")
    with pytest.raises(DataError, match=r"lines 2, 3.*x and y"):
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


# Images in the form of a model, with its labels; those that it learned from are known.


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
    with pytest.raises(DataError, match=r"another, bright.*bright, dark"):
        images_for(card, folder(tmp_path / "two", (2, 2), labels=("bright", "another")))


def test_a_file_that_was_learned_from_is_known_again_wherever_it_lies(tmp_path):
    card = _card(tmp_path)
    with pytest.raises(LeakError, match=r"12 of the 12 images of mine"):
        refuse_learned_from(card, load(tmp_path / "mine"))
    some = load(folder(tmp_path / "some", (2, 2, 2), first=3))
    with pytest.raises(LeakError, match=r"Mine.*3 of the 6.*0-0\.png"):
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
    with pytest.raises(DataError, match=r"numbers 1.*1 classes"):
        masked.numbered_as(("background",))
