"""`data check` on masks: every pair is looked at, and each that does not fit is named."""

from pathlib import Path

import numpy as np
from PIL import Image

from medshot import check
from medshot.data.checks.masks import class_findings, class_indices


def _folder(folder: Path, n: int = 4) -> Path:
    rng = np.random.default_rng(0)
    lines = ["path,mask,patient"]
    for i in range(n):
        Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{i}.png")
        mask = np.zeros((8, 8), np.uint8)
        mask[:2, : i + 1] = 1
        Image.fromarray(mask).save(folder / f"{i}_mask.png")
        lines.append(f"{i}.png,{i}_mask.png,p{i}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def _said(folder: Path) -> list[str]:
    return [f"{finding.severity}: {finding}" for finding in check(folder).findings]


def test_nothing_is_said_of_a_folder_that_is_fine(tmp_path: Path):
    assert _said(_folder(tmp_path)) == []


def test_all_pairs_that_do_not_fit_are_named_and_not_the_first_alone(tmp_path: Path):
    _folder(tmp_path)
    Image.fromarray(np.ones((4, 8), np.uint8)).save(tmp_path / "0_mask.png")
    (tmp_path / "2.png").write_bytes(b"no picture")
    said = _said(tmp_path)
    assert [line.startswith("error") for line in said] == [True, True]
    assert any("0_mask.png" in line and "4 x 8" in line and "line 2" in line for line in said)
    assert any("2.png" in line and "line 4" in line for line in said)


def test_empty_masks_rare_classes_and_images_that_are_there_twice(tmp_path: Path):
    _folder(tmp_path)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "1_mask.png")
    Image.fromarray(np.full((8, 8), 2, np.uint8) * np.eye(8, dtype=np.uint8)).save(
        tmp_path / "3_mask.png"
    )
    (tmp_path / "2.png").write_bytes((tmp_path / "0.png").read_bytes())
    said = _said(tmp_path)
    assert any(line.startswith("note") and "1_mask.png" in line for line in said)
    assert any("class number 2 is on 1 image" in line for line in said)
    assert any("2.png is the same image as 0.png" in line for line in said)


def test_classes_count_from_one_in_the_order_of_their_numbers():
    assert class_indices([{0, 4}, {2}], white=True) == {0: 0, 2: 1, 4: 2}
    assert class_indices([{0, 255}, {0, 2}], white=True) == {0: 0, 2: 1, 255: 2}
    assert class_indices([{0, 255}], white=False) == {0: 0, 255: 1}


def test_black_and_white_is_one_class_only_where_all_masks_are():
    white = {0: 0, 1: 1, 255: 1, 65_535: 1}
    assert class_indices([{0, 255}, {0, 1}, {0}], white=True) == white
    assert class_indices([{0}], white=True) == {0: 0}
    assert class_indices([{0, 1, 255}], white=True) == {0: 0, 1: 1, 255: 2}


def test_white_among_other_numbers_is_said(tmp_path: Path):
    (found,) = class_findings(tmp_path, [{0, 1, 255}] * 3, white=True)
    assert (found.severity, "255" in found.what) == ("warning", True)


def test_more_classes_than_are_learned_is_an_error(tmp_path: Path):
    (found,) = class_findings(tmp_path, [set(range(20)), {0, *range(20, 40)}], white=True)
    assert (found.severity, "40 class numbers" in found.what) == ("error", True)


def test_masks_without_background_or_without_a_mark_are_errors(tmp_path: Path):
    for masks in ([{1, 2}] * 3, [{0}] * 3):
        (found,) = class_findings(tmp_path, masks, white=True)
        assert found.severity == "error"
