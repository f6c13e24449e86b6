"""Predicting image files, and the card without which it cannot be done."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

import toys
from medshot.core import predictor as module
from medshot.core.errors import DataError, SaveError
from medshot.core.model_card import RESEARCH_ONLY
from medshot.core.prediction import Prediction
from medshot.core.predictor import freeze_copy, load_predictor, sliding_window, unfreeze_copy
from medshot.learners import build
from medshot.nn.heads import Linear


@pytest.fixture
def predictor():
    return build("prototypical", encoder=toys.conv4()).adapt(toys.dataset(3))


@pytest.fixture
def picture(tmp_path):
    """An image file that is neither of the size nor of the channels of the encoder."""
    path = tmp_path / "picture.png"
    pixels = torch.randint(0, 256, (20, 30, 3), dtype=torch.uint8).numpy()
    Image.fromarray(pixels).save(path)
    return path


def test_a_prediction_is_the_softmax_of_the_outputs_by_label(predictor, picture):
    found = predictor.predict(picture)
    assert isinstance(found, Prediction)
    odds = predictor(predictor.card.preprocessing.read(picture)[None]).softmax(1)[0]
    assert list(found.probabilities) == ["class 0", "class 1", "class 2"]
    assert list(found.probabilities.values()) == pytest.approx(odds.tolist())
    assert found.label == f"class {odds.argmax()}"
    assert found.confidence == max(found.probabilities.values())
    assert found.path == str(picture)


def test_several_paths_give_a_list_and_text_is_a_path(predictor, picture):
    one = predictor.predict(str(picture))
    assert predictor.predict([picture, str(picture)]) == [one, one]
    assert predictor.predict([]) == []


def test_predicting_leaves_the_mode_and_takes_the_type_of_the_weights(predictor, picture):
    single = predictor.predict(picture)
    double = predictor.double().train().predict(picture)
    assert predictor.training
    assert list(double.probabilities.values()) == pytest.approx(
        list(single.probabilities.values()), abs=1e-4
    )


def test_without_a_card_neither_predicting_nor_saving_works(picture, tmp_path):
    bare = Linear(toys.conv4(), torch.rand(8, 2), torch.rand(2))
    for refused in (lambda: bare.predict(picture), lambda: bare.save(tmp_path / "saved")):
        with pytest.raises(SaveError, match="neither its labels"):
            refused()
    assert not (tmp_path / "saved").exists()


def test_a_file_that_is_no_image_is_named(predictor, tmp_path):
    (tmp_path / "notes.png").write_text("no image")
    with pytest.raises(DataError, match=r"notes\.png"):
        predictor.predict(tmp_path / "notes.png")


def test_freezing_keeps_the_card_and_makes_a_copy(predictor):
    frozen = predictor.freeze()
    assert frozen.card == predictor.card
    with torch.no_grad():
        predictor.prototypes.zero_()
    assert frozen.prototypes.any()


# A predictor on disk: written whole or not at all, and the same once it is read again.


FILES = ["README.md", "predictor.json", "weights.safetensors"]


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
    for said in (
        "learner/prototypical",
        "Snell",
        "untrained",
        "| class 0 | 4 |",
        "as calibrated as",
    ):
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


# What a predictor has learned becomes parameters, and buffers again.


NAMES = ("linear-probe", "prototypical", "maml", "mahalanobis")


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_moves_and_the_original_does_not(name, tmp_path):
    predictor = build(name, encoder=toys.conv4()).adapt(toys.dataset())
    x = toys.images()
    before = predictor(x)
    copied = unfreeze_copy(predictor)
    torch.testing.assert_close(copied(x), before)
    copied(x).square().sum().backward()
    head = {n: p for n, p in copied.named_parameters() if not n.startswith("encoder.")}
    assert head
    assert all(p.grad is not None for p in copied.parameters())
    with torch.no_grad():
        for p in copied.parameters():
            p.add_(0.1)
    assert torch.equal(predictor(x), before)
    changed = freeze_copy(copied)
    assert not any(t.requires_grad for t in changed.state_dict(keep_vars=True).values())
    assert set(changed.state_dict()) == set(predictor.state_dict())
    assert {n for n, _ in changed.named_parameters()} == {
        n for n, _ in predictor.named_parameters()
    }
    loaded = load_predictor(changed.save(tmp_path / "saved"))
    assert torch.equal(loaded(x), changed(x))
    assert not torch.allclose(changed(x), before)


# Windows: what is seen of a large volume is what would be seen of it whole.


def test_what_looks_at_single_voxels_answers_as_on_the_whole():
    x = torch.rand(2, 1, 9, 14, 5)
    twice = sliding_window(lambda part: torch.cat([part, 2 * part], 1), x, side=6)
    torch.testing.assert_close(twice, torch.cat([x, 2 * x], 1))


def test_no_window_is_larger_than_asked_and_a_small_volume_is_one():
    seen = []

    def note(part: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(part.shape[2:]))
        return part

    sliding_window(note, torch.rand(1, 1, 9, 14, 5), side=6)
    assert max(max(shape) for shape in seen) <= 6
    assert len(seen) > 4
    seen.clear()
    sliding_window(note, torch.rand(1, 1, 6, 6, 6), side=6)
    assert seen == [(6, 6, 6)]


def test_where_windows_overlap_the_middle_of_each_weighs_more():
    def border(part: torch.Tensor) -> torch.Tensor:
        wrong = torch.ones_like(part)
        wrong[:, :, 1:-1, 1:-1, 1:-1] = 0
        return wrong

    found = sliding_window(border, torch.zeros(1, 1, 24, 8, 8), side=12)
    inner = found[0, 0, :, 4, 4]
    assert inner[[0, -1]].eq(1).all()
    assert inner[2:-2].max() < 0.3


# A saved predictor that is damaged is refused, with the file that is at fault.


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
