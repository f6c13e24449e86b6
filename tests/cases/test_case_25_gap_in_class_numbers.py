"""Masks with gaps in their class numbers: 0, 1, 2, 4 of tumors, 0, 17, 53 of an atlas."""

import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy import ndarray
from PIL import Image

import medshot
from toys.dicom import write_series
from toys.volumes import affine_of, write_nii

RNG = np.random.default_rng(0)
SETS = [(0, 1, 2, 4), (0, 17, 53), (0, 4), (0, 300, 1000)]


def scene(shape: tuple[int, ...], numbers: tuple[int, ...]) -> tuple[ndarray, ndarray]:
    """Gray values and mask: a box for each number, each brighter than the one before."""
    mask = np.zeros(shape, np.int32)
    wide = shape[0] // len(numbers)
    for i, number in enumerate(numbers[1:]):
        mask[1 + i * wide : (i + 1) * wide, 2:-2] = number
    steps = np.searchsorted(numbers, mask)
    return RNG.normal(40 + 60 * steps, 2).clip(0, 255), mask


def volumes(at: Path, numbers: tuple[int, ...], n: int = 4) -> Path:
    rows = ["path,mask,patient"]
    for i in range(n):
        values, mask = scene((16, 8, 6), numbers)
        write_nii(at / f"v{i}.nii.gz", values.astype(np.int16), affine_of("LAS"))
        write_nii(at / f"m{i}.nii.gz", mask.astype(np.uint16), affine_of("LAS"))
        rows.append(f"v{i}.nii.gz,m{i}.nii.gz,p{i}")
    (at / "labels.csv").write_text("\n".join(rows) + "\n")
    return at


def images(at: Path, numbers: tuple[int, ...], n: int = 4) -> Path:
    rows = ["path,mask,patient"]
    dtype = np.uint8 if numbers[-1] < 256 else np.uint16
    for i in range(n):
        values, mask = scene((32, 32), numbers)
        Image.fromarray(values.astype(np.uint8)).save(at / f"v{i}.png")
        Image.fromarray(mask.astype(dtype)).save(at / f"m{i}.png")
        rows.append(f"v{i}.png,m{i}.png,p{i}")
    (at / "labels.csv").write_text("\n".join(rows) + "\n")
    return at


def learned(data: medshot.Dataset, flat: bool = False) -> medshot.Predictor:
    name, size = ("filters", {"size": 32}) if flat else ("filters3d", {})
    encoder = medshot.encoder(name, scales=[1.0], **size)
    return medshot.build("linear-probe", encoder=encoder).adapt(data)


def row(answers: Path) -> dict[str, str]:
    with (answers / "answers.csv").open() as file:
        return next(csv.DictReader(file))


@pytest.mark.parametrize("numbers", SETS)
def test_volumes_get_the_numbers_of_their_masks(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    data = medshot.load(volumes(tmp_path, numbers))
    assert not medshot.check(tmp_path).findings
    assert data.labels == ("background", *map(str, numbers[1:]))
    learned(data).save(tmp_path / "model")
    again = medshot.load_predictor(tmp_path / "model")
    again.predict_folder(tmp_path / "v0.nii.gz").save(tmp_path / "answers")
    found = np.asarray(nibabel.load(tmp_path / "answers" / "v0.nii.gz").dataobj)
    truth = np.asarray(nibabel.load(tmp_path / "m0.nii.gz").dataobj)
    assert set(np.unique(found)) == set(numbers)
    assert (found == truth).mean() > 0.9
    shares = row(tmp_path / "answers")
    last = numbers[-1]
    assert float(shares[f"share({last})"]) == pytest.approx((found == last).mean(), abs=1e-6)


@pytest.mark.parametrize("numbers", SETS)
def test_images_get_the_numbers_of_their_masks(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    data = medshot.load(images(tmp_path, numbers), size=32)
    assert not medshot.check(tmp_path).findings
    learned(data, flat=True).predict_folder(tmp_path / "v0.png").save(tmp_path / "answers")
    found = np.asarray(Image.open(tmp_path / "answers" / "v0.png"))
    truth = np.asarray(Image.open(tmp_path / "m0.png"))
    assert set(np.unique(found)) == set(numbers)
    assert (found == truth).mean() > 0.8
    assert f"share({numbers[-1]})" in row(tmp_path / "answers")


def test_masks_read_again_at_another_size_have_the_same_classes(tmp_path: Path) -> None:
    data = medshot.load(images(tmp_path, (0, 17, 53)), size=32)
    assert set(data.at(3, 16).y.unique().tolist()) == {0, 1, 2}
    wider = data.numbered_as(("background", "1", "17", "53"))
    assert set(wider.y.unique().tolist()) == {0, 2, 3}
    assert set(wider.at(3, 16).y.unique().tolist()) == {0, 2, 3}


def test_a_folder_that_shows_some_of_the_classes_is_judged_by_number(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    model = learned(medshot.load(volumes(tmp_path / "a", (0, 1, 2, 4))))
    some = medshot.load(volumes(tmp_path / "b", (0, 4)))
    found = some.numbered_as(model.known_card().labels)
    assert found.y.unique().tolist() == [0, 3]
    with pytest.raises(medshot.DataError, match="numbers 4"):
        some.numbered_as(("background", "1", "2", "3"))


def test_a_dicom_segmentation_has_the_number_in_its_code(tmp_path: Path) -> None:
    values, mask = scene((6, 16, 8), (0, 17, 53))
    write_series(tmp_path / "s", values.astype(np.int16))
    image = medshot.read_volume(tmp_path / "s")
    labels = ("background", "17", "53")
    medshot.write_dicom_seg(mask, image, tmp_path / "seg.dcm", labels)
    back = medshot.read_mask_volume(tmp_path / "seg.dcm", like=image)
    np.testing.assert_array_equal(back, mask)
    with pytest.raises(medshot.DataError, match="holds the class 2"):
        medshot.write_dicom_seg(mask.clip(0, 2), image, tmp_path / "other.dcm", labels)


def test_masks_in_memory(tmp_path: Path) -> None:
    pairs = [scene((16, 16), (0, 1, 2, 4)) for _ in range(4)]
    x, y = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    data = medshot.dataset(x.astype(np.uint8), y)
    assert data.labels == ("background", "1", "2", "4")
    assert data.y.unique().tolist() == [0, 1, 2, 3]


def test_a_number_on_one_image_only_is_said(tmp_path: Path) -> None:
    volumes(tmp_path, (0, 1, 2, 4))
    write_nii(tmp_path / "m0.nii.gz", scene((16, 8, 6), (0, 1, 7))[1], affine_of("LAS"))
    (warning,) = medshot.check(tmp_path).findings
    assert "class number 7 is on 1 image(s)" in warning.what


def test_gray_levels_keep_white_apart_where_there_are_others(tmp_path: Path) -> None:
    images(tmp_path, (0, 128, 255))
    white = np.zeros((32, 32), np.uint8)
    white[8:20, 8:20] = 255
    Image.fromarray(white).save(tmp_path / "m0.png")
    data = medshot.load(tmp_path, size=32)
    assert data.labels == ("background", "128", "255")
    assert data.y[0].unique().tolist() == [0, 2]


def test_black_and_white_stays_one_class(tmp_path: Path) -> None:
    images(tmp_path, (0, 255))
    Image.fromarray(np.eye(32, dtype=np.uint8)).save(tmp_path / "m0.png")
    data = medshot.load(tmp_path, size=32)
    assert data.labels == ("background", "foreground")
    assert data.y.unique().tolist() == [0, 1]


def test_without_background_the_check_and_adapt_agree(tmp_path: Path) -> None:
    volumes(tmp_path, (1, 2, 4))
    for i in range(4):
        _, mask = scene((16, 8, 6), (0, 1, 2))
        write_nii(tmp_path / f"m{i}.nii.gz", mask + 1, affine_of("LAS"))
    (error,) = medshot.check(tmp_path).findings
    assert error.severity == "error"
    assert "background" in error.what
    with pytest.raises(medshot.DataError, match="background"):
        learned(medshot.load(tmp_path))
