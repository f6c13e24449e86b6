"""The program that measures says a time and a memory for every folder."""

import pytest

from medshot.compress import measured
from toys.networks import classifier, segmenter


def test_every_folder_has_its_figures(tmp_path, monkeypatch):
    folders = [
        str(made().save(tmp_path / name)) for name, made in (("a", classifier), ("b", segmenter))
    ]
    seconds = iter(range(100))
    monkeypatch.setattr(measured.time, "process_time", lambda: next(seconds) ** 2)
    found = measured.main(2, folders)
    # answers take 1, 5, 9, 13, ... s in turn; the first three of each do not count
    assert [row["milliseconds"] for row in found] == [pytest.approx(29e3), pytest.approx(33e3)]
    assert all(row["memory"] is None or row["memory"] > -1 for row in found)
