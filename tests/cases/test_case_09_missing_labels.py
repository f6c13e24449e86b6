"""Labels that are missing, as programs and people write it."""

import numpy as np
import pytest

import medshot
from toys.picture_folders import listed, pictures

NAMES = [f"{i}.png" for i in range(16)]


@pytest.mark.parametrize("word", ["nan", "NaN", "NA", "#N/A", "NULL", "<NA>", "?", " nan "])
def test_what_programs_write_is_refused_with_its_lines(tmp_path, word):
    lines = [f"{n},{word if i % 5 == 0 else 'ab'[i % 2]},p{i}" for i, n in enumerate(NAMES)]
    folder = listed(pictures(tmp_path, NAMES), lines)
    (error,) = medshot.check(folder).errors
    assert error.line == 2
    assert "(4 times: lines 2, 7, 12, 17)" in error.what
    with pytest.raises(medshot.MedshotError, match="missing"):
        medshot.load(folder)


@pytest.mark.parametrize("word", ["None", "unknown", "-"])
def test_what_may_be_a_class_is_told(tmp_path, word):
    lines = [f"{n},{word if i % 5 == 0 else 'ab'[i % 2] * 2},p{i}" for i, n in enumerate(NAMES)]
    folder = listed(pictures(tmp_path, NAMES), lines)
    (warning,) = [f for f in medshot.check(folder).findings if "missing" in f.what]
    assert f"class {word!r} (4)" in warning.what
    assert any(f"class {word!r} (4)".lower() in n.lower() for n in medshot.load(folder).notes)


def test_in_arrays_too():
    x = np.zeros((4, 16, 16), dtype=np.uint8)
    with pytest.raises(
        medshot.MedshotError, match=r"2 of 4 labels are missing \(the first is number 1"
    ):
        medshot.dataset(x, ["a", None, "b", "nan"])
    with pytest.raises(medshot.MedshotError, match="1 of 4 labels"):
        medshot.dataset(x, np.array(["a", float("nan"), "b", "a"], dtype=object))
