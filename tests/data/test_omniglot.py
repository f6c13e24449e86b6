import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medshot.core.errors import ConfigError, DataError
from medshot.data import omniglot
from medshot.data.dataset import Dataset
from medshot.data.load import load_one

Drawn = dict[str, list[Image.Image]]


def put(archive: Path, drawings: Drawn) -> None:
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(f"{archive.stem}/", "")
        opened.writestr(f"__MACOSX/{archive.stem}/Greek/character01/._0001_01.png", b"x")
        for number, (name, images) in enumerate(drawings.items()):
            for drawer, image in enumerate(images, 1):
                content = io.BytesIO()
                image.save(content, "PNG")
                path = f"{archive.stem}/{name}/{number:04}_{drawer:02}.png"
                opened.writestr(path, content.getvalue())


@pytest.fixture
def drawings() -> Drawn:
    rng = np.random.default_rng(0)
    names = ("Latin/character02", "Greek/character01", "Latin/character01")
    return {
        name: [Image.fromarray(rng.random((105, 105)) > 0.3) for _ in range(3)] for name in names
    }


@pytest.fixture
def archives(tmp_path: Path, drawings: Drawn) -> Path:
    names = list(drawings)
    put(tmp_path / "images_background.zip", {name: drawings[name] for name in names[:2]})
    put(tmp_path / "images_evaluation.zip", {name: drawings[name] for name in names[2:]})
    return tmp_path


def test_both_archives_make_one_sorted_set(archives: Path, drawings: Drawn) -> None:
    data = omniglot.load(archives)
    assert data.labels == ("Greek/character01", "Latin/character01", "Latin/character02")
    assert data.x.shape == (9, 1, 28, 28)
    assert data.y.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert not data.has_patients
    place = [int((i + 0.5) * 105 / 28) for i in range(28)]
    for i, label in enumerate(data.labels):
        for j, image in enumerate(drawings[label]):
            assert image.mode == "1"
            nearest = np.asarray(image.convert("L"))[np.ix_(place, place)]
            assert np.array_equal(data.x[3 * i + j, 0].numpy(), nearest)
            one_bit = image.resize((28, 28), Image.Resampling.BILINEAR).convert("L")
            assert np.array_equal(nearest, np.asarray(one_bit))  # what the papers' code did


def test_bilinear_really_filters(archives: Path, drawings: Drawn) -> None:
    data = omniglot.load(archives, resize="bilinear")
    image = drawings["Greek/character01"][0].convert("L")
    expected = image.resize((28, 28), Image.Resampling.BILINEAR)
    assert np.array_equal(data.x[0, 0].numpy(), np.asarray(expected))
    assert len(data.x.unique()) > 50
    assert omniglot.load(archives).x.unique().tolist() == [0, 255]
    assert data.hash != omniglot.load(archives).hash


def test_rotations_are_classes(archives: Path, drawings: Drawn) -> None:
    data = omniglot.load(archives, rotations=True)
    assert len(data.labels) == 12
    for label in data.labels:
        character, turn = label.rsplit("/rot", 1)
        ours = data.x[data.y == data.labels.index(label), 0].numpy()
        for found, image in zip(ours, drawings[character], strict=True):
            turned = image.convert("L").rotate(int(turn)).resize((28, 28), Image.Resampling.NEAREST)
            assert np.array_equal(found, np.asarray(turned))


def test_classes_come_in_the_order_asked_for(archives: Path) -> None:
    names = ["Latin/character02/rot090", "Greek/character01/rot000"]
    data = omniglot.load(archives, rotations=True, classes=names)
    assert list(data.labels) == names
    assert torch.equal(data.x[3:], omniglot.load(archives).x[:3])
    with pytest.raises(DataError, match=r"'Latin/character09'.*rotations"):
        omniglot.load(archives, classes=["Latin/character01", "Latin/character09"])


def test_the_form_asked_for(archives: Path) -> None:
    data = load_one(archives)
    assert isinstance(data, Dataset)
    assert data.x.shape[1:] == (1, 28, 28)
    assert omniglot.load(archives, channels=3, size=14).x.shape[1:] == (3, 14, 14)
    with pytest.raises(ConfigError, match="bilinear"):
        omniglot.load(archives, resize="cubic")


def test_damage_is_told(archives: Path, tmp_path: Path, drawings: Drawn) -> None:
    archive = archives / "images_evaluation.zip"
    whole = archive.read_bytes()
    for damaged in (
        b"",
        b"no zip",
        whole[: len(whole) // 2],
        whole[:200] + b"\0" * 300 + whole[500:],
    ):
        archive.write_bytes(damaged)
        with pytest.raises(DataError, match=r"images_evaluation\.zip.*damaged"):
            omniglot.load(archives)
    put(archive, {"Latin/character01": drawings["Latin/character01"][:1]})
    with pytest.raises(DataError, match="but hold 1 or 3"):
        omniglot.load(archives)
    put(archive, {})
    (archives / "images_background.zip").unlink()
    with pytest.raises(DataError, match="but hold none"):
        omniglot.load(archives)
    with pytest.raises(DataError, match=r"images_background\.zip"):
        omniglot.load(tmp_path / "nowhere")


def test_lists_of_classes(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a/b/rot000\nc/d/rot090\n")
    assert omniglot.read_class_list(tmp_path / "train.txt") == ["a/b/rot000", "c/d/rot090"]
    with pytest.raises(DataError, match=r"val\.txt does not exist"):
        omniglot.read_class_list(tmp_path / "val.txt")


def test_the_real_archives(real_data: Path) -> None:
    folder = real_data / "omniglot"
    parts = {
        part: omniglot.read_class_list(folder / "splits" / "vinyals" / f"{part}.txt")
        for part in ("train", "val", "test")
    }
    assert {part: len(names) for part, names in parts.items()} == {
        "train": 4112,
        "val": 688,
        "test": 1692,
    }
    together = [name for names in parts.values() for name in names]
    assert len(set(together)) == len(together) == 4 * 1623
    data = omniglot.load(folder, rotations=True, classes=together)
    assert list(data.labels) == together
    assert set(data.counts().values()) == {20}
    assert len({label.rsplit("/", 1)[0] for label in data.labels}) == 1623
    assert data.x.unique().tolist() == [0, 255]
    assert 0.75 < (data.x[:20_000] == 255).float().mean() < 0.98  # ink is 0, and there is little
