"""Each example of docs/python.md runs."""

import re
from pathlib import Path

import pytest

from toys.commands import folder

PAGE = Path(__file__).parents[1] / "docs/python.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_it_runs(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "my_images")
    folder(tmp_path / "new_images", first=20)
    exec(example, {})
    assert capsys.readouterr().out
