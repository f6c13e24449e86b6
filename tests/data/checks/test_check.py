"""`data check` asks the kind of the folder: what has no check of its own is read."""

from pathlib import Path

import numpy as np
from PIL import Image

from medshot.data.checks.check import check


def _folder(folder: Path, *lines: str) -> list[str]:
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return [f"{finding.severity}: {finding}" for finding in check(folder)]


def test_what_loading_refuses_is_an_error(tmp_path: Path):
    (line,) = _folder(tmp_path, "path,target", "0.png,1.5", "1.png,big")
    assert line.startswith("error")
    assert "big" in line


def test_what_loading_notes_is_a_note(tmp_path: Path):
    (line,) = _folder(tmp_path, "path,target", "0.png,1.5", "1.png,2.5")
    assert line.startswith("note")
    assert line.endswith(
        "No patient ids: scores may be optimistic. It is learned from all the same."
    )


def test_a_kind_that_is_asked_for_is_checked_as_such(tmp_path: Path):
    _folder(tmp_path, "path,label", "0.png,1", "1.png,2", "2.png,2")
    assert not any(finding.severity == "error" for finding in check(tmp_path))
    (line,) = [str(finding) for finding in check(tmp_path, "segmentation")]
    assert "mask" in line
