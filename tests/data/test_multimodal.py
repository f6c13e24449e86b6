"""Data sets of several kinds of data: kept apart, asked without some, read as a model does."""

import pytest
import torch

import medshot
from medshot.core.errors import ConfigError, DataError, ShapeError
from medshot.data.multimodal import as_read_by, hashed, keeping
from medshot.evaluation.cross_validation import cross_validate
from medshot.nn.encoders.multimodal import unpacked
from toys.tables import several


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> medshot.Dataset:
    return medshot.load(several(tmp_path_factory.mktemp("data") / "several"))


def test_any_learner_learns_predicts_and_is_saved(data, tmp_path):
    learner = medshot.build("linear-probe", encoder=medshot.encoder("joined", width=8))
    found = learner.adapt(data)
    loaded = medshot.load_predictor(found.save(tmp_path / "model"))
    assert loaded.known_card().preprocessing == found.known_card().preprocessing
    row = data.rows[3].path
    assert loaded.predict(row) == found.predict(row)
    torch.testing.assert_close(loaded.known_card().preprocessing.read(row), data.x[3])
    assert cross_validate(learner, data).interval("balanced accuracy").mean > 0.7


def test_what_was_learned_with_images_is_asked_without(data, tmp_path):
    learner = medshot.build("prototypical", encoder=medshot.encoder("joined", width=8))
    new = tmp_path / "new.csv"
    new.write_text('text\n"coughs, with fever"\n')
    assert learner.adapt(data).predict(new / "2").label == "sick"


@pytest.mark.parametrize("kind", ["image", "table", "text", "signal"])
def test_each_kind_alone_tells_the_classes_apart(data, kind):
    alone = keeping(data, [kind])
    assert len(alone) < len(data) or kind == "table"  # those without it are left out
    there = {name: known.any().item() for name, (known, _) in unpacked(alone.x).items()}
    assert [name for name, known in there.items() if known] == [kind]
    learner = medshot.build("lda", encoder=medshot.encoder("joined", width=8))
    found = learner.adapt(alone)
    right = found(alone.x).argmax(1) == alone.y
    assert right.double().mean() > 0.8


def test_a_kind_that_is_not_there_and_an_encoder_of_images_are_refused(data):
    with pytest.raises(ConfigError, match=r"'sound'.*signal"):
        keeping(data, ["sound"])
    with pytest.raises(ShapeError, match="take encoder='joined'"):
        medshot.build("prototypical", encoder="conv4").adapt(data)


def test_other_rows_are_read_with_the_columns_of_the_model(data, tmp_path):
    other = medshot.load(several(tmp_path / "other", seed=5))
    assert other.preprocessing.columns[0].mean != data.preprocessing.columns[0].mean
    again = as_read_by(other, data.preprocessing)
    assert again.preprocessing == data.preprocessing
    torch.testing.assert_close(again.x[0], data.preprocessing.read(other.rows[0].path))


def test_a_row_with_nothing_in_it_is_refused_by_its_line(data, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("label,text,path\na,words,\nb,,\n")
    with pytest.raises(DataError, match=r"labels.csv, line 3"):
        medshot.load(tmp_path)


def test_text_is_hashed_the_same_everywhere():
    found = hashed("Fever")
    torch.testing.assert_close(found.norm(), torch.tensor(1.0))
    assert torch.equal(found, hashed("fever"))
    # an independent anchor: a hash that depends on the process would not hold it
    assert found.nonzero().flatten().tolist() == hashed("FEVER").nonzero().flatten().tolist()
    assert not hashed("").any()
