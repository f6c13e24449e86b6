"""`medshot learners`: names, tasks, papers and files, whole at 80 columns."""

import io

import pytest
from rich.console import Console

from medshot.app import terminal
from medshot.learners import registry
from toys.fixtures import Medshot


@pytest.mark.parametrize("options", [[], ["--options"]])
def test_all_of_it_can_be_read(
    medshot: Medshot, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    seen = io.StringIO()
    monkeypatch.setattr(terminal, "console", Console(file=seen, width=80, markup=False))
    assert medshot("learners", *options).status == 0
    text = seen.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    cells = " ".join(line.split("│")[-2].strip() for line in text.splitlines() if "│" in line)
    for name, cls in registry.learners().items():
        assert f" {name} " in text
        assert registry.file_of(cls) in text
        assert cls.source in cells
    assert ("steps=5" in text) is bool(options)
    kinds = registry.learners().values()
    assert text.count("(baseline)") == sum(not cls.trainable for cls in kinds) > 0
    assert text.count("(transductive)") == sum(cls.transductive for cls in kinds) > 0


def test_a_missing_package_is_said(medshot: Medshot, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ImportError("No module named 'x'", name="x")
    monkeypatch.setattr(registry, "missing", lambda: {"odd": error})
    assert "pip install x" in medshot("learners").err


def test_those_for_a_task(medshot: Medshot) -> None:
    shown = medshot("learners", "segmentation").out
    assert "in-context-masks" in shown
    assert "tim" not in shown.split()
    assert medshot("learners", "segmentatoin").refused("Did you mean 'segmentation'")
