"""A predictor on disk: written whole or not at all, and the same once it is read again."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import toys
from medshot.core import predictor as module
from medshot.core.errors import SaveError
from medshot.core.model_card import RESEARCH_ONLY
from medshot.core.predictor import load_predictor
from medshot.learners import build
from medshot.nn.heads import Linear

FILES = ["README.md", "predictor.json", "weights.safetensors"]


@pytest.fixture
def predictor():
    return build("prototypical", encoder=toys.conv4()).adapt(toys.dataset())


@pytest.fixture
def saved(predictor, tmp_path) -> Path:
    return predictor.save(tmp_path / "deep" / "saved")


def test_a_folder_of_three_readable_files(saved):
    assert sorted(p.name for p in saved.iterdir()) == FILES
    assert [p.name for p in saved.parent.iterdir()] == ["saved"]
    assert saved.stat().st_mode & 0o777 == 0o755
    assert all(p.stat().st_mode & 0o444 == 0o444 for p in saved.iterdir())


def test_a_moved_folder_is_the_same_predictor(predictor, saved, tmp_path):
    loaded = load_predictor(shutil.move(saved, tmp_path / "elsewhere"))
    x = toys.images()
    assert torch.equal(loaded(x), predictor(x))
    assert loaded.card == predictor.card


def test_the_model_card_says_what_it_is_and_what_it_is_not(saved):
    text = (saved / "README.md").read_text()
    assert RESEARCH_ONLY in text
    for said in ("learner/prototypical", "Snell", "untrained", "| class 0 | 4 |", "not calibrated"):
        assert said in text


def test_a_card_made_by_hand_is_enough(tmp_path):
    head = Linear(toys.conv4(), torch.rand(8, 2), torch.rand(2)).with_card(toys.card())
    loaded = load_predictor(head.save(tmp_path / "saved"))
    assert loaded.card == toys.card()
    assert "was not recorded" in (tmp_path / "saved" / "README.md").read_text()


def test_what_was_done_since_is_kept_in_order_and_said(tmp_path):
    card = toys.card().after("finetune", what="lora", rank=4).after("prune", share=0.5)
    head = Linear(toys.conv4(), torch.rand(8, 2), torch.rand(2)).with_card(card)
    loaded = load_predictor(head.save(tmp_path / "saved"))
    assert loaded.card == card
    said = (tmp_path / "saved" / "README.md").read_text()
    assert said.index("1. Then: finetune, what lora, rank 4.") < said.index("2. Then: prune")


def test_the_type_of_the_weights_is_kept(predictor, tmp_path):
    loaded = load_predictor(predictor.double().save(tmp_path / "saved"))
    x = toys.images().double()
    assert torch.equal(loaded(x), predictor(x))


def test_an_empty_folder_may_be_used_and_a_full_one_not(predictor, tmp_path):
    (tmp_path / "saved").mkdir()
    predictor.save(tmp_path / "saved")
    (tmp_path / "file").write_text("mine")
    for taken in ("saved", "file"):
        with pytest.raises(SaveError, match=f"{taken} exists already"):
            predictor.save(tmp_path / taken)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_place_where_nothing_can_be_written_is_named(predictor, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SaveError, match="file/saved"):
        predictor.save(tmp_path / "file" / "saved")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_written_is_left(predictor, tmp_path, monkeypatch, error):
    def fail(path, text):
        raise error

    monkeypatch.setattr(module, "write_text", fail)
    with pytest.raises((SaveError, KeyboardInterrupt)):
        predictor.save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_a_transductive_predictor_is_refused(tmp_path):
    learner = build("prototypical", encoder=toys.conv4(norm="transductive"))
    with pytest.raises(SaveError, match="depends on the other images"):
        learner.adapt(toys.dataset()).save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_is_no_part_is_refused(tmp_path):
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 8))
    head = Linear(encoder, torch.rand(8, 2), torch.rand(2)).with_card(toys.card())
    with pytest.raises(SaveError, match="Sequential cannot be saved"):
        head.save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []
