"""The examples of the pages on adding a part: each is used as a file of one's own."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import medshot
from medshot.core import plugins
from medshot.core.errors import ConfigError, DataError
from medshot.core.registry import PARTS
from medshot.data.io.registry import IMAGES, VOLUMES, volume_reader
from medshot.learners.registry import _LEARNERS
from medshot.testing import check_encoder, check_learner
from toys.commands import SMALL, command, folder, picture
from toys.volumes import affine_of, ramp

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No other test meets what was used."""
    monkeypatch.setattr(plugins, "USED", [])
    yield
    for registry in (PARTS, _LEARNERS, IMAGES, VOLUMES):
        for name in [n for n, m in registry._modules.items() if m.startswith("medshot_used_")]:
            del registry[name], registry._modules[name]


def written(page: str, at: Path) -> Path:
    """The one file that docs/`page` shows, in folder `at`."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    file = at / "mine.py"
    file.write_text(code, encoding="utf-8")
    return file


def test_the_learner(tmp_path: Path) -> None:
    mine = written("add-a-learner.md", tmp_path)
    images = folder(tmp_path / "images")
    wanted = ("--learner", "cosine", "--set", "scale=20", "--out", tmp_path / "model")
    assert command("adapt", images, *wanted, "--use", mine, *SMALL) == 0
    assert "learner/cosine" in (tmp_path / "model/predictor.json").read_text()
    check_learner("cosine", scale=20.0)


def test_the_encoder(tmp_path: Path) -> None:
    mine = written("add-an-encoder.md", tmp_path)
    images = folder(tmp_path / "images")
    wanted = ("--learner", "prototypical", "--encoder", "tiny", "--out", tmp_path / "model")
    assert command("adapt", images, *wanted, "--set", "encoder.size=16", "--use", mine) == 0
    assert "encoder/tiny" in (tmp_path / "model/predictor.json").read_text()
    check_encoder("tiny")


def test_the_format_of_images(tmp_path: Path) -> None:
    images = tmp_path / "arrays"
    for c, label in enumerate(("bright", "dark")):
        (images / label).mkdir(parents=True)
        for seed in range(6):
            np.save(images / label / f"{seed}.npy", np.asarray(picture(c, seed)))
    (before,) = [f for f in medshot.check(images).findings if "not read" in f.what]
    assert before.file is not None
    assert before.file.suffix == ".npy"
    mine = written("add-a-format.md", tmp_path)
    wanted = ("--learner", "prototypical", "--out", tmp_path / "model")
    assert command("adapt", images, *wanted, "--use", mine, *SMALL) == 0
    data = medshot.load(images, channels=1, size=24)
    assert torch.equal(data.x[0, 0], torch.from_numpy(np.asarray(picture(0, 0)).copy()))
    assert not [f for f in medshot.check(images).findings if "not read" in f.what]


def test_the_format_of_volumes(tmp_path: Path) -> None:
    medshot.use(written("add-a-format.md", tmp_path))
    path = tmp_path / "a.npz"
    np.savez(path, values=ramp(), affine=affine_of("RAS"))
    found = medshot.read_volume(path)
    assert found.spacing == (3.0, 2.0, 0.5)
    assert np.array_equal(found.values, ramp().transpose(2, 1, 0)[:, ::-1, ::-1])
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"a\.npz: it is damaged"):
        medshot.read_volume(path)


def test_a_suffix_that_is_taken_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'\.nrrd'"):
        volume_reader(".nrrd", name="mine")(medshot.read_volume)


@pytest.mark.parametrize("part", ["learner", "encoder", "format"])
def test_the_four_lines_name_folders_that_exist(part: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(rf"## Add an? (?:file )?{part}\n\n(.*?)\n\n", text, flags=re.S)
    assert found is not None
    lines = re.findall(r"^\d\. ", found[1], flags=re.M)
    assert len(lines) == 4
    places = re.findall(r"(?:src|tests)/[\w/]+(?=/)", found[1])
    assert len(places) >= 2
    assert [place for place in places if not (ROOT / place.split("/FAMILY")[0]).is_dir()] == []
