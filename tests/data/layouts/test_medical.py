"""Pairs of volumes as nnU-Net, the Decathlon and MONAI list them."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import medshot
from medshot import DataError
from toys.layouts import write_json

SHAPE = (9, 8, 7)


def _volume(path: Path, seed: int, classes: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, classes + 1, SHAPE) if classes else rng.normal(0, 1, SHAPE)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = values.astype(np.uint8 if classes else np.float32)
    nib.save(nib.Nifti1Image(made, np.eye(4)), path)
    return path


def _nnunet(folder: Path, channels: int = 1) -> Path:
    for i in range(3):
        for c in range(channels):
            _volume(folder / "imagesTr" / f"ct_{i:03d}_{c:04d}.nii.gz", 10 * i + c)
        _volume(folder / "labelsTr" / f"ct_{i:03d}.nii.gz", i, 2)
    _volume(folder / "imagesTs" / "ct_100_0000.nii.gz", 99)
    said = {
        "channel_names": {str(c): name for c, name in enumerate(("CT", "PET")[:channels])},
        "labels": {"background": 0, "liver": 1, "tumour": 2},
        "numTraining": 3,
        "file_ending": ".nii.gz",
    }
    write_json(folder / "dataset.json", said)
    return folder


def test_nnunet(tmp_path: Path) -> None:
    data = medshot.load(_nnunet(tmp_path))
    assert data.kind == "segmentation-3d"
    assert data.labels == ("background", "liver", "tumour")
    assert len(data) == 3
    line = "3 volumes with a mask each, 2 classes (liver, tumour) from dataset.json"
    assert any(line in note for note in data.notes)
    assert medshot.check(tmp_path).listed.endswith(line)


def test_what_nnunet_ignores_is_not_labeled(tmp_path: Path) -> None:
    said = json.loads((_nnunet(tmp_path) / "dataset.json").read_text())
    plain = medshot.load(tmp_path)
    write_json(tmp_path / "dataset.json", {**said, "labels": {**said["labels"], "ignore": 3}})
    for path in (tmp_path / "labelsTr").iterdir():
        image = nib.load(path)
        mask = np.asarray(image.dataobj)
        mask[:2] = 3
        nib.save(nib.Nifti1Image(mask, image.affine), path)
    data = medshot.load(tmp_path)
    assert data.labels == plain.labels
    left = (data.y == -1).any(1).any(1)
    assert left.any()
    assert not left.all()
    there = data.y >= 0
    assert (data.y[there] == plain.y[there]).all()
    found = medshot.check(tmp_path)
    assert found.listed.endswith("dataset.json, 3 is not labeled")
    assert not found.errors


def test_several_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ct_000 has 2 channels \(CT, PET\)"):
        medshot.load(_nnunet(tmp_path, channels=2))


def test_the_decathlon(tmp_path: Path) -> None:
    pairs = []
    for i in range(3):
        _volume(tmp_path / "imagesTr" / f"liver_{i}.nii.gz", i)
        _volume(tmp_path / "labelsTr" / f"liver_{i}.nii.gz", i, 1)
        name = f"liver_{i}.nii.gz"
        pairs.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    labels = {"0": "background", "1": "liver"}
    write_json(tmp_path / "dataset.json", {"training": pairs, "labels": labels, "test": []})
    assert medshot.load(tmp_path).labels == ("background", "liver")


def test_a_label_without_its_image(tmp_path: Path) -> None:
    folder = _nnunet(tmp_path)
    (folder / "imagesTr" / "ct_001_0000.nii.gz").unlink()
    with pytest.raises(DataError, match="ct_001 has no image"):
        medshot.load(folder)


def test_a_list_of_monai(tmp_path: Path) -> None:
    pairs = []
    for i in range(3):
        image = _volume(tmp_path / "scans" / f"{i}.nii.gz", i)
        mask = _volume(tmp_path / "truth" / f"{i}.nii.gz", i, 2)
        names = [path.relative_to(tmp_path).as_posix() for path in (image, mask)]
        pairs.append({"image": names[0], "label": names[1], "fold": i % 2})
    write_json(tmp_path / "datalist.json", {"training": pairs, "testing": [{"image": "x"}]})
    data = medshot.load(tmp_path)
    assert data.labels == ("background", "1", "2")
    assert any("left out: testing" in note for note in data.notes)


@pytest.mark.parametrize(
    ("item", "match"),
    [
        ({"image": "../../etc/passwd", "label": "a.nii.gz"}, "outside of the folder"),
        ({"image": ["a.nii.gz", "b.nii.gz"], "label": "a.nii.gz"}, "has 2 images"),
        ({"image": "a.nii.gz"}, "has no label"),
        ({"image": "a.nii.gz", "label": 1}, "labels of volumes are not read"),
        ({"image": 3, "label": "a.nii.gz"}, "name of an image is 3"),
    ],
)
def test_a_list_that_is_refused(tmp_path: Path, item: dict[str, object], match: str) -> None:
    _volume(tmp_path / "a.nii.gz", 0)
    write_json(tmp_path / "datalist.json", {"training": [item]})
    with pytest.raises(DataError, match=match) as error:
        medshot.load(tmp_path)
    assert "datalist.json" in str(error.value)
