"""Masks of several raters: the vote, their agreement, and folders that hold them."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

import medshot
from medshot.core.errors import DataError
from medshot.data.raters import TIED, apart, mean_pairwise_dice, regrouped, voted
from medshot.data.readers.registry import folder_kind, kind_of
from medshot.data.tables.labels import Row, masks_of


def square(low: int, high: int, value: int = 1, side: int = 16) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    mask[low:high, low:high] = value
    return mask


def write_rated(
    folder: Path, *lines: str, columns: str = "path,mask_1,mask_2", **masks: np.ndarray
) -> Path:
    """Random images 0.png, 1.png, ... for the `lines`, and the `masks` as `{name}.png`."""
    rng = np.random.default_rng(0)
    for i, _ in enumerate(lines):
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(folder / f"{i}.png")
    for name, mask in masks.items():
        Image.fromarray(mask).save(folder / f"{name}.png")
    (folder / "labels.csv").write_text("\n".join((columns, *lines)) + "\n")
    return folder


def test_most_votes_win_and_a_tie_has_no_label() -> None:
    a, b, c = (
        np.array([each], np.uint8) for each in ([0, 1, 1, 1, 0], [0, 1, 2, 2, 0], [1, 0, 2, 3, 0])
    )
    assert voted([a, b, c]).tolist() == [[0, 1, 2, TIED, 0]]
    assert voted([a, b]).tolist() == [[0, 1, TIED, TIED, 0]]


def test_a_pixel_that_a_rater_left_out_has_no_vote() -> None:
    a, b = np.array([[9, 1, 9, 0]], np.uint8), np.array([[1, 0, 9, 0]], np.uint8)
    assert voted([a, b], unlabeled=9).tolist() == [[1, 9, 9, 0]]


def test_a_mark_of_one_and_a_white_one_are_the_same() -> None:
    assert voted([square(2, 8), square(2, 8, 255)]).max() == 1
    assert mean_pairwise_dice([square(2, 8), square(2, 8, 255)]) == 1
    assert set(np.unique(voted([square(2, 8, 255)] * 2))) == {0, 255}


def test_dice_of_pairs_by_hand() -> None:
    a, b, c = square(0, 4), square(0, 2), square(8, 10)
    assert mean_pairwise_dice([a, b]) == pytest.approx(2 * 4 / (16 + 4))
    assert mean_pairwise_dice([a, b, c]) == pytest.approx(0.4 / 3)
    assert mean_pairwise_dice([a * 0, a * 0]) == 1
    two = np.where(b, 2, a)  # 12 pixels of class 1, 4 of class 2, which only one rater knows
    assert mean_pairwise_dice([a, two]) == pytest.approx((2 * 12 / 28 + 0) / 2)
    left = np.where((a == 1) & (b == 0), 9, b)  # where they differ, one has no label
    assert mean_pairwise_dice([a, left.astype(np.uint8)], unlabeled=9) == 1


def test_rows_are_taken_apart_and_grouped_again() -> None:
    one, two = Row(Path("a"), "", mask=Path("x")), Row(Path("b"), "", mask=Path("y"))
    both = Row(Path("b"), "", mask=Path("y"), raters=(two, two))
    assert apart([one, both]) == [one, two, two]
    assert regrouped([one, both], apart([one, both])) == [one, both]


def test_a_folder_of_two_raters_is_joined_and_says_how_they_agree(tmp_path: Path) -> None:
    write_rated(
        tmp_path,
        *("0.png,a0.png,b0.png", "1.png,a1.png,b1.png", "2.png,a2.png,", "3.png,,b3.png"),
        a0=square(0, 8),
        b0=square(0, 8),
        a1=square(0, 8),
        b1=square(0, 4),
        a2=square(4, 9),
        b3=square(2, 6),
    )
    assert kind_of(tmp_path) == "segmentation"
    data = medshot.load(tmp_path, size=16)
    assert len(data) == 4
    assert data.labels == ("background", "foreground")
    tied = square(0, 8) != square(0, 4)
    truth = [square(0, 8), np.where(tied, -1, square(0, 8).astype(int)), square(4, 9), square(2, 6)]
    assert torch.equal(data.y.long(), torch.from_numpy(np.stack(truth).astype(int)))
    said = "2 raters agree with a Dice of 0.70 on 2 images"  # 1 and 2 * 16 / (64 + 16)
    assert any(said in note for note in data.notes)
    found = folder_kind("segmentation").findings(tmp_path)
    assert any(said in each.what for each in found if each.severity == "note")
    assert not any(each.severity == "error" for each in found)
    assert {path.name for path in masks_of(tmp_path / "labels.csv")} == {
        *(f"{name}.png" for name in ("a0", "b0", "a1", "b1", "a2", "b3"))
    }
    assert torch.equal(data.at(3, 16).y, data.y)  # read again from the files
    assert (data.at(3, 8).y[1] == -1).any()


def test_raters_by_name_with_colors_and_a_class_of_one_rater_only(tmp_path: Path) -> None:
    def color(mask: np.ndarray) -> np.ndarray:
        return np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)[mask]

    write_rated(
        tmp_path,
        *("0.png,a.png,b.png,c.png", "1.png,a.png,a1.png,"),
        columns="path,mask.Anna,Mask Bob,mask_cy",
        a=color(square(0, 8)),
        b=color(square(0, 8)),
        c=color(square(0, 8, 2)),
        a1=color(square(0, 8, 2)),
    )
    data = medshot.load(tmp_path, size=16)
    assert len(data.labels) == 3
    assert (data.y[0] > 0).sum() == 64
    assert set(data.y[1].unique().tolist()) == {-1, 0}
    assert any("3 raters agree with a Dice of 0.17 on 2 images" in note for note in data.notes)


def test_ties_take_the_number_that_has_no_label(tmp_path: Path) -> None:
    a, b = square(0, 8), square(0, 4)
    a[15], b[15] = 255, 255
    write_rated(tmp_path, "0.png,a.png,b.png", "1.png,b.png,a.png", a=a, b=b)
    data = medshot.load(tmp_path, size=16, ignore_value=255)
    assert data.labels == ("background", "foreground")
    assert (data.y[0] == -1).sum() == 48 + 16


@pytest.mark.parametrize(
    ("columns", "line", "said"),
    [
        ("path,mask_1,mask_2", "0.png,a.png,small.png", "small.png.*4 x 4"),
        ("path,mask_1,mask_2", "0.png,,nan", "mask_1, mask_2 is empty"),
        ("path,mask_1,mask_2", "0.png,a.png,a.png", "same mask"),
        ("path,mask_1,mask_1", "0.png,a.png,b.png", "2 columns are called mask_1"),
        ("path,mask_1,mask_2", "0.png,a.png,none_such.png", "none_such.png"),
    ],
)
def test_bad_masks_of_raters_are_named(tmp_path: Path, columns: str, line: str, said: str) -> None:
    write_rated(
        tmp_path, line, "1.png,b.png,a.png", columns=columns,
        a=square(0, 8), b=square(0, 4), small=square(0, 2, side=4),
    )  # fmt: skip
    with pytest.raises(DataError, match=said):
        medshot.load(tmp_path)
    if "called" not in said:
        assert len(medshot.load(tmp_path, skip_bad=True)) == 1


def test_one_filled_column_is_one_rater_and_no_note(tmp_path: Path) -> None:
    write_rated(tmp_path, "0.png,a.png,", "1.png,b.png,", a=square(0, 8), b=square(0, 4))
    data = medshot.load(tmp_path, size=16)
    assert data.y.min() == 0
    assert not any("rater" in note for note in data.notes)


def test_raters_without_an_image_in_common_are_told(tmp_path: Path) -> None:
    write_rated(tmp_path, "0.png,a.png,", "1.png,,b.png", a=square(0, 8), b=square(0, 4))
    assert any("no image in common" in note for note in medshot.load(tmp_path).notes)


def test_columns_that_name_no_files_are_no_masks(tmp_path: Path) -> None:
    write_rated(
        tmp_path, "0.png,a.png,good", "1.png,b.png,poor", columns="path,mask,mask_quality",
        a=square(0, 8), b=square(0, 4),
    )  # fmt: skip
    assert not any("rater" in note for note in medshot.load(tmp_path).notes)
    write_rated(tmp_path, "0.png,x,good", "1.png,y,poor", columns="path,label,mask_quality")
    assert kind_of(tmp_path) == "classification"


def test_a_line_for_each_rater_is_refused_and_the_columns_are_named(tmp_path: Path) -> None:
    write_rated(
        tmp_path, "0.png,a.png", "0.png,b.png", columns="path,mask", a=square(0, 8), b=square(0, 4)
    )
    with pytest.raises(DataError, match="mask_1, mask_2"):
        medshot.load(tmp_path)


def test_volumes_of_two_raters(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(2):
        values = rng.normal(size=(16, 16, 4)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / f"{i}.nii.gz")
    for name, mask in (("a", square(0, 8)), ("b", square(0, 4))):
        whole = np.repeat(mask[:, :, None], 4, 2)
        nibabel.save(nibabel.Nifti1Image(whole, np.eye(4)), tmp_path / f"{name}.nii.gz")
    lines = ("path,mask_1,mask_2", "0.nii.gz,a.nii.gz,b.nii.gz", "1.nii.gz,a.nii.gz,")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    data = medshot.load(tmp_path)
    assert data.kind == "segmentation-3d"
    assert [(data.y[i] == c).sum().item() for i in (0, 1) for c in (-1, 1)] == [192, 64, 0, 256]
    assert any("Dice of 0.40 on 1 image" in note for note in data.notes)
    found = folder_kind("segmentation-3d").findings(tmp_path)
    assert not [each for each in found if each.severity == "error"]
