"""Numbers of a command as JSON: what is not a number is null."""

import json
import math
from pathlib import Path

from medshot.core.table import write_json


def test_what_is_not_a_number_is_null_at_any_depth(tmp_path: Path) -> None:
    record = {"a": math.nan, "b": [1.5, math.inf], "c": {"d": (math.nan, 2)}, "e": "NaN"}
    write_json(tmp_path / "r.json", record)
    found = json.loads((tmp_path / "r.json").read_text())
    assert found == {"a": None, "b": [1.5, None], "c": {"d": [None, 2]}, "e": "NaN"}
