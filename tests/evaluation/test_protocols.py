import io
import re
import zipfile
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medshot.core.errors import ConfigError, DataError
from medshot.data.omniglot import read_class_list
from medshot.evaluation.protocols import FINN17_SIZES, MEDICAL, data_root, protocol, protocols
from toys.training import blobs

NAME = re.compile(r"(snell17|finn17)/omniglot/(\d+)w(\d+)s|medshot26/(\w+)/(\d+)s")


# Of 20 episodes on blobs(24, 40): a change here makes every number measured before another one.
FINGERPRINTS = {
    "snell17/omniglot/5w1s": "d9c9a09533192587",
    "finn17/omniglot/5w1s": "4909ef55a9521390",
    "medshot26/covid_ct/5s": "931277132f95e224",
}


def test_there_are_eight_of_omniglot_and_three_of_each_medical_set() -> None:
    assert len(protocols()) == 8 + 3 * len(MEDICAL)
    assert all(NAME.fullmatch(name) for name in protocols())
    assert all(found.name == name for name, found in protocols().items())


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'snell17/omniglot/5w1s'"):
        protocol("snell/omniglot/5w1s")


@pytest.mark.parametrize("name", sorted(protocols()))
def test_episodes_are_what_the_name_says(name: str) -> None:
    rules = protocol(name)
    paper, way, shot, _, medical_shot = NAME.fullmatch(name).groups()  # type: ignore[union-attr]
    shot = int(shot or medical_shot)
    data = blobs(24, 40, patients=False)
    way = int(way) if way else len(data.labels)
    query = {"snell17": 15, "finn17": shot}.get(paper, 10)
    sampler = rules.sampler(data)
    episode = sampler.episode(0)
    assert episode.task.n_outputs == way
    assert episode.support.y.bincount().tolist() == [shot] * way
    assert episode.query.y.bincount().tolist() == [query] * way
    assert sampler.rotate == (paper == "finn17")
    assert rules.episodes == (1000 if paper == "snell17" else 600)
    assert (rules.channels, rules.size) == ((1, 28) if paper else (3, 64))
    assert rules.source


def test_the_episodes_of_a_protocol_are_the_same_today_and_tomorrow() -> None:
    found = {
        name: protocol(name).sampler(blobs(24, 40, patients=False)).fingerprint(20)
        for name in FINGERPRINTS
    }
    assert found == FINGERPRINTS
    with pytest.raises(FrozenInstanceError):
        protocol("snell17/omniglot/5w1s").seed = 2  # type: ignore[misc]


def test_without_the_variable_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDSHOT_DATA", raising=False)
    with pytest.raises(DataError, match="MEDSHOT_DATA"):
        protocol("medshot26/covid_ct/5s").dataset()


def test_the_folder_given_goes_before_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDSHOT_DATA", "/elsewhere")
    assert data_root() == Path("/elsewhere")
    assert data_root(tmp_path) == tmp_path


def test_a_part_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'train'"):
        protocol("finn17/omniglot/5w1s").dataset("trian", "/nowhere")


def test_a_medical_set_is_held_out_whole(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="held out whole"):
        protocol("medshot26/covid_ct/5s").dataset("train", tmp_path)


def _omniglot(root: Path, characters: int) -> list[str]:
    """A tiny archive in the official form; the characters' names."""
    rng = np.random.default_rng(0)
    names = [f"Alphabet/character{i:02}" for i in range(characters)]
    (root / "omniglot" / "splits" / "vinyals").mkdir(parents=True)
    with zipfile.ZipFile(root / "omniglot" / "images_background.zip", "w") as archive:
        for name in names:
            for i in range(2):
                content = io.BytesIO()
                Image.fromarray(rng.random((105, 105)) > 0.5).save(content, "PNG")
                archive.writestr(f"images_background/{name}/{i}.png", content.getvalue())
    return names


def test_the_published_split_is_read_from_the_data_folder(tmp_path: Path) -> None:
    names = _omniglot(tmp_path, 3)
    rules = protocol("snell17/omniglot/5w1s")
    assert "the list published with its code" in rules.source
    assert "1703.05175" in rules.source
    listed = tmp_path / "omniglot" / "splits" / "vinyals" / "test.txt"
    with pytest.raises(DataError, match=r"test\.txt.*published list") as caught:
        rules.dataset("test", tmp_path)
    assert str(listed) in str(caught.value)
    chosen = [f"{names[2]}/rot090", f"{names[0]}/rot000"]
    listed.write_text("\n".join(chosen), encoding="utf-8")
    found = rules.dataset("test", tmp_path)
    assert found.labels == tuple(chosen)
    assert found.x.shape == (4, 1, 28, 28)
    listed.write_text("Other/character01/rot000", encoding="utf-8")
    with pytest.raises(DataError, match="not in the archives"):
        rules.dataset("test", tmp_path)


def test_a_split_of_our_own_says_so() -> None:
    assert "drawn with our own seed" in protocol("finn17/omniglot/5w1s").source
    assert [b - a for a, b in FINN17_SIZES.values()] == [1100, 100, 1200, 423]


def test_the_published_lists_are_whole_and_share_only_what_is_known(real_data: Path) -> None:
    folder = real_data / "omniglot" / "splits" / "vinyals"
    train, val, test = (set(read_class_list(folder / f"{p}.txt")) for p in ("train", "val", "test"))
    assert [len(train), len(val), len(test)] == [4112, 688, 1692]
    assert not train & val
    assert not train & test
    assert not val & test


@pytest.mark.parametrize("name", ["head_ct_hemorrhage", "covid_ct"])
def test_a_real_medical_protocol(real_data: Path, name: str) -> None:
    rules = protocol(f"medshot26/{name}/5s")
    data = rules.dataset(root=real_data)
    episode = rules.sampler(data).episode(0)
    assert episode.task.n_outputs == len(data.labels)
    assert episode.support.y.bincount().tolist() == [5] * len(data.labels)
