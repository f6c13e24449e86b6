"""Bad rows are left out by choice, each named, and stop everything otherwise."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medshot
from medshot.core import DataError
from medshot.data.checks.issue import refusal
from medshot.data.checks.skip import is_skipping, left_out_notes, skip_or_raise, skipping_bad
from medshot.data.io.formats.nifti import write_nifti
from medshot.data.io.volume import volume
from toys.picture_folders import listed, pictures

BAD = refusal(Path("a.png"), "it is damaged", "Export it again.", 3)


def test_outside_of_the_block_the_first_problem_is_raised():
    with pytest.raises(DataError, match="damaged"):
        skip_or_raise([BAD])
    with skipping_bad(False), pytest.raises(DataError, match="damaged"):
        skip_or_raise([BAD])


def test_within_the_block_problems_are_kept_and_go_to_the_blocks_around():
    with skipping_bad() as outer:
        with skipping_bad(False) as inner:
            assert is_skipping()
            skip_or_raise([BAD])
        assert outer == inner == [BAD]
    assert not is_skipping()


def test_a_note_names_file_line_and_cause_and_many_of_a_cause_are_one():
    others = [refusal(Path(f"{i}.png"), "it is damaged", "Export it again.", i) for i in (5, 4)]
    (note,) = left_out_notes([BAD, *others, BAD])
    assert "damaged (3 times: lines 3, 4, 5)" in note
    causes = [refusal(None, f"cause {i}", "Fix it.") for i in range(14)]
    assert "4 further" in left_out_notes(causes)[-1]


def test_labels(tmp_path: Path):
    names = [f"{i}.png" for i in range(6)]
    pictures(tmp_path, names)
    (tmp_path / "5.png").write_bytes(b"no image")
    (tmp_path / "copy.png").write_bytes((tmp_path / "0.png").read_bytes())
    lines = [f"{name},{'ab'[i % 2]},p{i}" for i, name in enumerate(names)]
    lines += ["copy.png,b,p9", "gone.png,a,p10", "1.png,b,p1", "2.png,b,p2", "3.png,,p3"]
    listed(tmp_path, lines)
    with pytest.raises(DataError):
        medshot.load(tmp_path)
    found = medshot.load(tmp_path, skip_bad=True)
    # 0 and its copy, and 2, have two labels; 1 stands twice with one label
    assert [row.path.name for row in found.rows] == ["1.png", "3.png", "4.png"]
    said = " ".join(found.notes)
    assert all(name in said for name in ("5.png", "gone.png", "1.png", "2.png", "copy.png"))
    assert medshot.check(tmp_path).errors
    checked = medshot.check(tmp_path, skip_bad=True)
    assert not checked.errors
    assert any("left out" in each.what and "5.png" in str(each) for each in checked.findings)


def test_a_folder_without_any_usable_file_is_refused_all_the_same(tmp_path: Path):
    for name in ("a/0.png", "b/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png"):
        medshot.load(tmp_path, skip_bad=True)
    assert medshot.check(tmp_path, skip_bad=True).errors


def test_numbers(tmp_path: Path):
    pictures(tmp_path, [f"{i}.png" for i in range(4)])
    (tmp_path / "3.png").write_bytes(b"")
    listed(tmp_path, [f"{i}.png,{i}.5" for i in range(4)], "path,target")
    assert len(medshot.load(tmp_path, skip_bad=True)) == 3


def test_boxes(tmp_path: Path):
    pictures(tmp_path, [f"{i}.png" for i in range(4)])
    (tmp_path / "3.png").write_bytes(b"no image")
    lines = [f"{i}.png,2,3,20,21,cell" for i in range(4)]
    lines += [lines[0], "1.png,9,9,5,12,cell", "2.png,5,5,500,500,cell", "2.png,4,5,9,9,cell"]
    (tmp_path / "boxes.csv").write_text("\n".join(["path,xmin,ymin,xmax,ymax,label", *lines]))
    with pytest.raises(DataError):
        medshot.load(tmp_path)
    found = medshot.load(tmp_path, skip_bad=True)
    assert [row.path.name for row in found.rows] == ["0.png", "1.png"]
    assert (found.y[..., 4] >= 0).sum(1).tolist() == [1, 1]
    said = " ".join(found.notes)
    assert all(word in said for word in ("same box", "xmin is 9", "2.png", "3.png"))
    assert not medshot.check(tmp_path, skip_bad=True).errors


def test_masks_of_another_size(tmp_path: Path):
    pictures(tmp_path, [f"{i}.png" for i in range(3)])
    for i in range(3):
        with Image.open(tmp_path / f"{i}.png") as image:
            side = image.size[::-1] if i else (9, 9)
        mask = np.zeros(side, np.uint8)
        mask[2:6, 2:6] = 1
        Image.fromarray(mask).save(tmp_path / f"m{i}.png")
    listed(tmp_path, [f"{i}.png,m{i}.png" for i in range(3)], "path,mask")
    with pytest.raises(DataError, match="9 x 9"):
        medshot.load(tmp_path)
    found = medshot.load(tmp_path, skip_bad=True)
    assert len(found) == 2
    assert any("9 x 9" in note for note in found.notes)


def test_masks_of_volumes(tmp_path: Path):
    rng = np.random.default_rng(0)
    lines = []
    for i in range(3):
        values = rng.integers(0, 99, (6, 7, 8)).astype(np.int16)
        image = volume(values, np.diag([1.0, 1, 1, 1]), tmp_path / f"{i}.nii")
        write_nifti(values, image, tmp_path / f"{i}.nii")
        mask = (values > 50).astype(np.uint8)
        write_nifti(mask if i else mask[:4], image, tmp_path / f"m{i}.nii")
        lines.append(f"{i}.nii,m{i}.nii")
    listed(tmp_path, lines, "path,mask")
    with pytest.raises(DataError):
        medshot.load(tmp_path)
    found = medshot.load(tmp_path, skip_bad=True)
    assert len(found) == len(found.contents) == len(found.rows) == 2
