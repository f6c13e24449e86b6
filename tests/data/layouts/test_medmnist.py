"""Archives of MedMNIST: one label or several, a part by its name, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

import medshot
from medshot import DataError


def _archive(path: Path, columns: int = 1, shape: tuple[int, ...] = (28, 28)) -> Path:
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 12), ("val", 6), ("test", 8)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (n, *shape)).astype(np.uint8)
        arrays[f"{part}_labels"] = (np.arange(n * columns) % 2).reshape(n, columns).astype("uint8")
    np.savez(path, **arrays)
    return path


def test_a_file_a_folder_and_a_part(tmp_path: Path) -> None:
    path = _archive(tmp_path / "pneumoniamnist.npz")
    images = np.load(path)
    for given, part in ((path, "train"), (tmp_path, "train"), (path / "test", "test")):
        data = medshot.load(given)
        assert data.kind == "classification"
        assert torch.equal(data.x[:, 0], torch.from_numpy(images[f"{part}_images"]))
        assert data.y.tolist() == images[f"{part}_labels"][:, 0].tolist()
    assert any("12 images of train" in note for note in medshot.load(path).notes)
    assert not medshot.check(path).errors


def test_colors_and_another_size(tmp_path: Path) -> None:
    path = _archive(tmp_path / "bloodmnist.npz", shape=(28, 28, 3))
    assert medshot.load(path, size=16).x.shape == (12, 3, 16, 16)


def test_several_findings(tmp_path: Path) -> None:
    data = medshot.load(_archive(tmp_path / "chestmnist.npz", columns=3))
    assert data.kind == "multi-label"
    assert data.y.shape == (12, 3)


def test_volumes_are_refused(tmp_path: Path) -> None:
    path = _archive(tmp_path / "organmnist3d.npz", shape=(28, 28, 28))
    with pytest.raises(DataError, match="it holds volumes"):
        medshot.load(path)
    assert len(medshot.check(path).errors) == 1


def test_several_archives_are_refused(tmp_path: Path) -> None:
    _archive(tmp_path / "a.npz"), _archive(tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"name one, a\.npz or b\.npz"):
        medshot.load(tmp_path)


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.npz")
    raw = bytearray(path.read_bytes())
    raw[200:400] = b"\xff" * 200
    path.write_bytes(bytes(raw))
    with pytest.raises(DataError, match=r"a\.npz: train_images cannot be read"):
        medshot.load(path)


def test_no_pickle_is_opened(tmp_path: Path) -> None:
    given = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "a.npz", train_images=given, train_labels=given)
    with pytest.raises(DataError, match="cannot be read"):
        medshot.load(tmp_path / "a.npz")
