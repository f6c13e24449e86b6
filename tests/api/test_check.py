"""What is wrong with a folder, as objects."""

from pathlib import Path

import numpy as np
from PIL import Image

import medshot
from toys.commands import folder


def test_a_folder_is_looked_at_and_nothing_is_raised(tmp_path):
    place = folder(tmp_path / "a<b>")
    assert medshot.check(place).errors == ()
    broken = next(place.rglob("*.png"))
    broken.write_bytes(b"no image")
    found = medshot.check(place)
    assert [each.file for each in found.errors] == [broken]
    assert str(found).startswith(f"{place} (classification): ")
    assert "a&lt;b&gt;" in found._repr_html_()
    assert "a<b>" not in found._repr_html_()


def _listed(folder: Path, *lines: str) -> list[str]:
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return [f"{finding.severity}: {finding}" for finding in medshot.check(folder).findings]


def test_what_loading_refuses_is_an_error(tmp_path: Path):
    (line,) = _listed(tmp_path, "path,target", "0.png,1.5", "1.png,big")
    assert line.startswith("error")
    assert "big" in line


def test_what_loading_notes_is_a_warning(tmp_path: Path):
    (line,) = _listed(tmp_path, "path,target", "0.png,1.5", "1.png,2.5")
    assert line.startswith("warning")
    assert line.endswith(
        "No patient ids: scores may be optimistic. It is learned from all the same."
    )


def test_a_kind_that_is_asked_for_is_checked_as_such(tmp_path: Path):
    _listed(tmp_path, "path,label", "0.png,1", "1.png,2", "2.png,2")
    assert not any(finding.severity == "error" for finding in medshot.check(tmp_path).findings)
    (line,) = [str(finding) for finding in medshot.check(tmp_path, "segmentation").findings]
    assert "mask" in line
