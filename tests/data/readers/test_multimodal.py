"""Folders of several kinds of data, and what they are refused for."""

import pytest

import medshot
from medshot.core.errors import DataError
from medshot.data.multimodal import MultimodalPreprocessing
from medshot.data.readers.registry import kind_of
from toys.tables import several


def test_such_a_folder_is_known_by_its_columns(tmp_path):
    folder = several(tmp_path / "several")
    assert kind_of(folder) == "classification-multimodal"
    data = medshot.load(folder)
    assert isinstance(data.preprocessing, MultimodalPreprocessing)
    assert data.counts() == {"sick": 6, "well": 6}
    assert data.preprocessing.kinds == ("image", "text", "signal", "table")
    assert len(data.groups.unique()) == 12
    assert data.kind == "classification-multimodal"
    assert data.hash == medshot.load(folder).hash
    other = medshot.load(several(tmp_path / "b", columns=("label", "table.sex")))
    assert isinstance(other.preprocessing, MultimodalPreprocessing)


def _folder(tmp_path, text: str):
    (tmp_path / "labels.csv").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label,text\na,one\n,two\n", "line 3: label is empty"),
        ("label,text\na,one\na,two\n", "only one class, 'a'"),
        ("label,text,path\na,one,no.png\nb,two,\n", r"no.png.*line 2"),
        ("label,text,signal\na,one,no.wav\nb,two,\n", r"no.wav.*line 2"),
        ("label,table.id\n" + "".join(f"{'ab'[i % 2]},x{i}\n" for i in range(20)), "no category"),
    ],
)
def test_what_is_wrong_is_said_by_line(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        medshot.load(_folder(tmp_path, text))


def test_one_image_under_two_labels_is_refused_and_the_same_words_are_not(tmp_path):
    folder = several(tmp_path / "a", n=4, columns=("label", "path"))
    (folder / "labels.csv").write_text("label,text,path\na,x,1.png\nb,x,1.png\n")
    with pytest.raises(DataError, match="under two labels"):
        medshot.load(folder)
    (folder / "labels.csv").write_text("label,text\na,x\nb,x\n")
    assert len(medshot.load(folder)) == 2
