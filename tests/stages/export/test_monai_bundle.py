"""A bundle that MONAI itself runs, in a process of its own, with the answers of the predictor."""

import csv
import json
import subprocess
import sys

import pytest

import toys
from medshot.core.errors import SaveError, TaskError
from medshot.data.load import load
from medshot.learners import build
from medshot.stages.export.monai_bundle import export_bundle
from toys.commands import folder

RUN = "from monai.bundle import run; run(meta_file='configs/metadata.json', "


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A predictor, pictures alone in a folder, and its bundle."""
    place = tmp_path_factory.mktemp("bundle")
    pictures = folder(place / "mine", (4, 4))
    predictor = build("nearest-centroid", encoder=toys.conv4(channels=3)).adapt(load(pictures))
    (pictures / "labels.csv").unlink()
    return predictor, pictures, export_bundle(predictor, place / "bundle")


def test_monai_runs_it_and_answers_as_the_predictor_does(made):
    predictor, pictures, bundle = made
    code = f"{RUN}config_file='configs/inference.json', dataset_dir={str(pictures)!r})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with (bundle / "eval" / "answers.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 8
    for path, *found in rows:
        expected = list(predictor.predict(path).probabilities.values())
        assert [float(p) for p in found] == pytest.approx(expected, abs=1e-4)


def test_there_is_no_pickle_in_it_and_its_metadata_say_what_it_takes(made):
    _, _, bundle = made
    files = {str(f.relative_to(bundle)) for f in bundle.rglob("*") if f.is_file()}
    assert {"models/model.onnx", "configs/metadata.json", "scripts/network.py"} <= files
    assert not [f for f in files if f.endswith((".pt", ".ts", ".pkl", ".pth"))]
    about = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert about["network_data_format"]["inputs"]["image"]["num_channels"] == 3
    assert about["network_data_format"]["outputs"]["pred"]["channel_def"]["0"] == "bright"


def test_a_taken_folder_and_masks_are_refused(made):
    predictor, pictures, bundle = made
    with pytest.raises(SaveError, match="exists already"):
        export_bundle(predictor, bundle)
    task = toys.task_of("segmentation")
    ep = toys.episode(task)
    masks = build("linear-probe", encoder=toys.encoder(task)).adapt(ep.support, task)
    card = toys.card(3)
    object.__setattr__(card, "task", task)
    with pytest.raises(TaskError, match=r"not for segmentation.*onnx"):
        export_bundle(masks.with_card(card), pictures / "other")
    assert not (pictures / "other").exists()
