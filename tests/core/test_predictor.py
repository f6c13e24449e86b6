"""Predicting image files, and the card without which it cannot be done."""

import pytest
import torch
from PIL import Image

import toys
from medshot.core.errors import DataError, SaveError
from medshot.core.prediction import Prediction
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
        with pytest.raises(SaveError, match="neither its labels nor its preprocessing"):
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
