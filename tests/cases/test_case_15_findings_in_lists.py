"""Findings separated by commas, or written with capitals."""

import medshot
from toys.picture_folders import listed, pictures

CELLS = ('"edema, effusion"', "edema", "effusion", "No Finding", '"Edema, Effusion"', "effusion")


def test_they_are_two_findings_and_both_are_told(tmp_path):
    names = [f"{i}.png" for i in range(24)]
    lines = [f"{name},{CELLS[i % 6]},p{i}" for i, name in enumerate(names)]
    folder = listed(pictures(tmp_path, names), lines, "path,labels,patient")
    data = medshot.load(folder)
    assert data.labels == ("edema", "effusion")
    assert data.y.sum(0).tolist() == [12, 16]
    told = [f.what for f in medshot.check(folder).findings if f.severity == "warning"]
    assert any("'edema, effusion'" in what for what in told)
    assert any("'Edema', 'edema'" in what for what in told)
