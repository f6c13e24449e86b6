"""A patient whose code is written P07 and p07, as two people fill in a table."""

import numpy as np
import pytest
import torch

import medshot
import toys
from toys.picture_folders import listed, pictures


@pytest.mark.parametrize(
    "ways", [("P{:02d}", "p{:02d}"), ("{}", "{:03d}"), ("{}", "{}.0"), ("P-{:02d}", "P {}")]
)
def test_it_is_one_patient_and_everything_says_so(tmp_path, ways):
    names = [f"{p}_{take}.png" for p in range(12) for take in range(2)]
    lines = [
        f"{name},{'ab'[i // 2 % 2]},{ways[i % 2].format(i // 2)}" for i, name in enumerate(names)
    ]
    folder = listed(pictures(tmp_path, names), lines)
    data = medshot.load(folder)
    assert len(data.groups.unique()) == 12
    assert torch.equal(data.groups[0::2], data.groups[1::2])
    for first, second in [medshot.split_patients(data)]:
        assert not set(first.groups.tolist()) & set(second.groups.tolist())
    (warning,) = [f for f in medshot.check(folder).findings if "several ways" in f.what]
    assert warning.severity == "warning"
    assert "12 patient(s)" in warning.what
    assert any("12 patient(s)" in note for note in data.notes)
    if ways[0] == "P{:02d}":
        done = medshot.adapt(data, medshot.build("nearest-centroid", encoder=toys.conv4()))
        assert any("'P00' and 'p00'" in each for each in done.report.warnings)


def test_arrays_have_the_same_rule():
    x = np.random.default_rng(0).integers(0, 256, (8, 16, 16), dtype=np.uint8)
    data = medshot.dataset(
        x, ["a", "b"] * 4, patients=["7", 7.0, "007", None, "P1", "p01", b"q", "-"]
    )
    assert data.groups.tolist() == [0, 0, 0, -1, 1, 1, 2, -1]
    assert any("2 patient(s)" in note for note in data.notes)


def test_a_leak_between_splits_is_found_in_either_spelling(tmp_path):
    names = [f"{i}.png" for i in range(8)]
    lines = [f"{name},{'ab'[i % 2]},q{i},train" for i, name in enumerate(names[:6])]
    lines += ["6.png,a,P07,train", "7.png,b,p07,test"]
    folder = listed(pictures(tmp_path, names), lines, "path,label,patient,split")
    assert any("a leak: 1 patient(s)" in f.what for f in medshot.check(folder).errors)
