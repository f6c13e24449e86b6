"""Tables for terminals and notebooks."""

import json
import math
from pathlib import Path

from medshot.core.table import Table, write_json


def test_columns_are_aligned_and_long_cells_cut():
    found = Table("Scores", ("", "accuracy"), (("a\nb", "0.5"), ("longer", "x" * 200)))
    lines = str(found).splitlines()
    assert lines[0] == "Scores"
    assert lines[1] == "        accuracy"
    assert lines[2] == "a b     0.5"
    assert lines[3].endswith("...")


def test_what_users_named_is_text_in_a_notebook():
    html = Table("<b>", ("<i>",), (("<script>",),))._repr_html_()
    for tag in ("b", "i", "script"):
        assert f"<{tag}>" not in html
        assert f"&lt;{tag}&gt;" in html


# Numbers of a command as JSON: what is not a number is null.


def test_what_is_not_a_number_is_null_at_any_depth(tmp_path: Path) -> None:
    record = {"a": math.nan, "b": [1.5, math.inf], "c": {"d": (math.nan, 2)}, "e": "NaN"}
    write_json(tmp_path / "r.json", record)
    found = json.loads((tmp_path / "r.json").read_text())
    assert found == {"a": None, "b": [1.5, None], "c": {"d": [None, 2]}, "e": "NaN"}
