"""Two columns of one name, as a join in a spreadsheet leaves them."""

import pytest

import medshot
from toys.picture_folders import listed, pictures

NAMES = [f"{i}.png" for i in range(8)]


@pytest.mark.parametrize("columns", ["path,label,label", "path,label,Label ", "path,label,PATH"])
def test_which_is_meant_is_not_guessed(tmp_path, columns):
    lines = [f"{n},{'ab'[i % 2]},{'cd'[i // 4]}" for i, n in enumerate(NAMES)]
    folder = listed(pictures(tmp_path, NAMES), lines, columns)
    (error,) = medshot.check(folder).errors
    assert "2 columns are called" in error.what
    with pytest.raises(medshot.MedshotError, match="2 columns are called"):
        medshot.load(folder)
