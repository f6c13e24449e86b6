"""A saved predictor that is damaged is refused, with the file that is at fault."""

import json
import shutil
from pathlib import Path

import pytest

import toys
from medshot.core.errors import SaveError
from medshot.core.predictor import load_predictor
from medshot.learners import build


@pytest.fixture
def saved(tmp_path) -> Path:
    predictor = build("prototypical", encoder=toys.conv4()).adapt(toys.dataset())
    return predictor.save(tmp_path / "saved")


@pytest.mark.parametrize("name", ["predictor.json", "weights.safetensors"])
@pytest.mark.parametrize("how", ["missing", "empty", "cut", "changed"])
def test_a_damaged_file_is_named(saved, name, how):
    file = saved / name
    content = file.read_bytes()
    file.unlink()
    half = len(content) // 2
    damaged = {
        "empty": b"",
        "cut": content[:half],
        "changed": content[:half] + bytes([content[half] ^ 0xFF]) + content[half + 1 :],
    }
    if how in damaged:
        file.write_bytes(damaged[how])
    with pytest.raises(SaveError, match=name):
        load_predictor(saved)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (["predictor", "part"], "predictor/protoypes", "Did you mean 'predictor/prototypes'"),
        (["predictor"], {"part": "encoder/pixels", "options": {}}, "wrong type"),
        (["predictor", "part"], 7, "AttributeError"),
        (["predictor", "options"], {}, "TypeError"),
        (["predictor", "options"], [], "AttributeError"),
        (["predictor", "options", "prototypes", "dtype"], "system", "AttributeError"),
        (["preprocessing"], {"part": "encoder/pixels", "options": {}}, "Type"),
        (["task", "kind"], "divination", "no task called 'divination'"),
        (["labels"], None, "TypeError"),
        (["format"], 2, "format"),
    ],
)
def test_a_table_of_contents_that_is_wrong_is_named(saved, keys, value, said):
    about = json.loads((saved / "predictor.json").read_text())
    place = about
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (saved / "predictor.json").write_text(json.dumps(about))
    with pytest.raises(SaveError, match=r"predictor\.json") as error:
        load_predictor(saved)
    assert said in str(error.value)


def test_weights_of_another_predictor_are_refused(saved, tmp_path):
    other = build("prototypical", encoder=toys.conv4()).adapt(toys.dataset())
    other.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "weights.safetensors", saved)
    with pytest.raises(SaveError, match=r"weights\.safetensors.*SHA-256"):
        load_predictor(saved)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SaveError, match=r"no folder .*nowhere"):
        load_predictor(tmp_path / "nowhere")
