"""Label Studio: percent to pixels, brushes, choices, and names of uploaded files."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medshot
from medshot import DataError
from medshot.data.layouts.label_studio import unpack
from medshot.data.readers.segmentation import read_image_and_mask
from toys.layouts import HEIGHT, SPOT, WIDTH, spot_picture, spot_truth, write_json

XMIN, YMIN, XMAX, YMAX = SPOT
PLACE = {
    "x": 100 * XMIN / WIDTH,
    "y": 100 * YMIN / HEIGHT,
    "width": 100 * (XMAX - XMIN) / WIDTH,
    "height": 100 * (YMAX - YMIN) / HEIGHT,
    "rotation": 0,
}
CORNERS = [XMIN / WIDTH, YMIN / HEIGHT, XMAX / WIDTH, YMAX / HEIGHT]
POINTS = [[100 * CORNERS[i], 100 * CORNERS[j]] for i, j in ((0, 1), (2, 1), (2, 3), (0, 3))]


def pack(values: np.ndarray) -> list[int]:
    """Runs of single values, as rle-pack writes them: one size of 3 bits, values of 8."""
    bits = f"{len(values):032b}{7:05b}" + f"{2:04b}" * 4
    ends = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    for start, end in itertools.pairwise(ends):
        for at in range(start, end, 8):
            run = min(8, end - at)
            bits += f"1{0:02b}{run - 1:03b}{int(values[at]):08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def _result(kind: str, **value: Any) -> dict[str, Any]:
    return {
        "id": "a1",
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "value": value,
    }


def _folder(folder: Path, *results: Any, name: str = "/data/upload/1/ab12cd34-{i}.png") -> Path:
    tasks = []
    for i in range(3):
        spot_picture(folder / f"{i}.png", i)
        annotations = [{"id": i, "was_cancelled": False, "result": list(results)}]
        data = {"image": name.replace("{i}", str(i))}
        tasks.append({"id": i, "data": data, "annotations": annotations})
    write_json(folder / "project-1-at-2024.json", tasks)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "/data/upload/1/ab12cd34-{i}.png",
        "/data/local-files/?d=scans/{i}.png",
        "s3://bucket/scans/{i}.png",
        "https://x.org/a/{i}.png",
    ],
)
def test_boxes(tmp_path: Path, name: str) -> None:
    box = _result("rectanglelabels", rectanglelabels=["cell"], **PLACE)
    data = medshot.load(_folder(tmp_path, box, name=name))
    assert data.y[0, 0, :4].tolist() == pytest.approx(CORNERS)
    assert any(note.startswith("Read as Label Studio: 3 images, 1 class") for note in data.notes)


def test_polygons(tmp_path: Path) -> None:
    shape = _result("polygonlabels", polygonlabels=["cell"], points=POINTS)
    data = medshot.load(_folder(tmp_path, shape))
    assert np.array_equal(read_image_and_mask(data.rows[0])[1], spot_truth())


def test_brushes(tmp_path: Path) -> None:
    values = np.repeat(spot_truth(255).ravel(), 4)
    shape = _result("brushlabels", brushlabels=["cell"], format="rle", rle=pack(values))
    data = medshot.load(_folder(tmp_path, shape))
    assert data.labels == ("background", "cell")
    assert np.array_equal(read_image_and_mask(data.rows[0])[1], spot_truth())


def test_unpacking_runs_and_single_values() -> None:
    values = np.array([3, 3, 3, 9, 0, 0, 200], np.uint8)
    assert np.array_equal(unpack(bytes(pack(values)), 7), values)
    with pytest.raises(ValueError, match="holds 7 values"):
        unpack(bytes(pack(values)), 8)
    with pytest.raises(ValueError, match="ends early"):
        unpack(bytes(pack(values)[:9]), 7)


def test_choices(tmp_path: Path) -> None:
    folder = _folder(tmp_path, _result("choices", choices=["ill"]))
    path = folder / "project-1-at-2024.json"
    path.write_text(path.read_text().replace("ill", "well", 1))
    assert medshot.load(folder).counts() == {"ill": 2, "well": 1}


def test_the_short_form(tmp_path: Path) -> None:
    box = {**PLACE, "rectanglelabels": ["cell"], "original_width": WIDTH, "original_height": HEIGHT}
    names = [spot_picture(tmp_path / f"{i}.png", i).name for i in range(3)]
    tasks = [
        {"image": f"/data/upload/1/{n}", "id": i, "label": [box], "annotation_id": i}
        for i, n in enumerate(names)
    ]
    write_json(tmp_path / "min.json", tasks)
    assert medshot.load(tmp_path).counts() == {"cell": 3}


def test_unfinished_tasks_are_left_out(tmp_path: Path) -> None:
    folder = _folder(tmp_path, _result("rectanglelabels", rectanglelabels=["cell"], **PLACE))
    path = folder / "project-1-at-2024.json"
    path.write_text(path.read_text().replace('"was_cancelled": false', '"was_cancelled": true', 1))
    data = medshot.load(folder)
    assert len(data) == 2
    assert any("1 image of the folder without a finished" in note for note in data.notes)


@pytest.mark.parametrize(
    ("result", "match"),
    [
        (_result("rectanglelabels", rectanglelabels=["a", "b"], **PLACE), "not one label"),
        (_result("rectanglelabels", rectanglelabels=["a"], **PLACE | {"x": 90}), "reaches out"),
        (_result("rectanglelabels", rectanglelabels=["a"], **PLACE | {"x": None}), "no number"),
        (_result("polygonlabels", polygonlabels=["a"], points=[[1, 2]]), "no polygon"),
        (_result("brushlabels", brushlabels=["a"], rle=[300]), "not bytes"),
        (_result("brushlabels", brushlabels=["a"], rle=[1, 2]), "does not fit"),
        (_result("choices", choices=["a", "b"]), "several choices"),
        ({"type": "rectanglelabels"}, "no value"),
    ],
)
def test_what_is_refused(tmp_path: Path, result: Any, match: str) -> None:
    with pytest.raises(DataError, match=match) as error:
        medshot.load(_folder(tmp_path, result))
    assert "project-1-at-2024.json" in str(error.value)


def test_a_path_out_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"listed and is not|outside"):
        medshot.load(_folder(tmp_path, name="../../etc/passwd"))
