"""An encoder folder gives the same features again; a damaged or hostile one is a sentence."""

import json

import pytest
import torch
from torch import nn

import medshot
from medshot.core.errors import ConfigError, SaveError
from medshot.pretraining import load_encoder, pretrain, save_encoder
from medshot.pretraining.store import encoder_card
from toys.pretraining import small, stripes


@pytest.fixture
def saved(tmp_path):
    learned = pretrain(small(), stripes(), steps=2, batch=8)
    return save_encoder(learned, tmp_path / "encoder"), learned


def test_it_gives_the_same_features_and_says_the_same(saved) -> None:
    folder, learned = saved
    again = load_encoder(folder)
    x = torch.rand(3, 1, 16, 16)
    assert torch.equal(again(x), learned(x))
    assert (again.origin, again.seen) == (learned.origin, learned.seen)
    assert (again.channels, again.size) == (1, 16)
    card = (folder / "README.md").read_text()
    assert "pretrained (reconstruct) on stripes" in card
    assert "| stripes | 60 |" in card


def test_nothing_is_overwritten(saved) -> None:
    folder, learned = saved
    before = (folder / "weights.safetensors").read_bytes()
    with pytest.raises(SaveError, match="exists already"):
        save_encoder(learned, folder)
    assert (folder / "weights.safetensors").read_bytes() == before


def test_somebodys_own_module_cannot_be_saved(tmp_path) -> None:
    class Own(medshot.Encoder):
        def __init__(self) -> None:
            super().__init__(1, 16, "unit")
            self.layer = nn.Linear(1, 1)

    with pytest.raises(SaveError, match="not a registered part"):
        save_encoder(Own(), tmp_path / "own")


def _with(folder, **changed):
    file = folder / "encoder.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    return folder


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"format": 9}, "another format"),
        ({"encoder": {"part": "learner/maml", "options": {}}}, "not what was written"),
        ({"encoder": {"part": "encoder/os.system", "options": {}}}, "Code is never run"),
        ({"encoder": {"part": "encoder/conv4", "options": {"width": -1}}}, "not what was written"),
        ({"encoder": {"part": "encoder/conv4", "options": {"x": 1}}}, "not what was written"),
        (
            {"encoder": {"part": "encoder/conv4", "options": {"width": 16}}},
            "another arch",
        ),
        ({"encoder": {"part": "encoder/pixels", "options": {}}}, "another architecture"),
        ({"about": 3}, "not what was written"),
        ({"sha256": "0"}, "SHA-256"),
    ],
)
def test_a_changed_description_is_refused_with_the_file(saved, changed, told) -> None:
    folder = _with(saved[0], **changed)
    with pytest.raises(SaveError, match=told) as refused:
        load_encoder(folder)
    assert str(folder) in str(refused.value)


def test_truncated_weights_and_missing_files_are_refused(saved, tmp_path) -> None:
    folder, _ = saved
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(SaveError, match="SHA-256"):
        load_encoder(folder)
    weights.unlink()
    with pytest.raises(SaveError, match="of another architecture"):
        load_encoder(folder)
    (folder / "encoder.json").write_text("{")
    with pytest.raises(SaveError, match="medshot pretrain"):
        load_encoder(folder)
    with pytest.raises(SaveError, match="medshot pretrain"):
        load_encoder(tmp_path / "nothing")


def test_an_encoder_folder_has_its_options(saved) -> None:
    with pytest.raises(ConfigError, match="leave size out"):
        load_encoder(saved[0], size=32)


# The card says what an encoder learned from and under what licence, or that nobody knows.


TABLE = {
    "encoder": {"part": "encoder/conv4", "options": {}},
    "created": "2026-01-01",
    "versions": {"medshot": "0.1"},
}
SET = {"name": "skin", "count": 60, "patients": 12, "licence": "CC BY 4.0"}


def test_every_data_set_is_listed_with_its_licence() -> None:
    card = encoder_card({**TABLE, "about": {"origin": "pretrained on skin", "data": [SET]}})
    assert "# A medshot encoder: conv4" in card
    assert "| skin | 60 | 12 | CC BY 4.0 |" in card
    assert "Research use only" in card


def test_weights_from_elsewhere_are_said_to_be_from_there() -> None:
    card = encoder_card({**TABLE, "about": {"origin": "weights of net.npz"}})
    assert "Weights: weights of net.npz." in card
    assert "The data are not recorded." in card
