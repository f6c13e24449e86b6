"""The file: whole, with all that must travel with it, and run where there is neither of us."""

import json
import subprocess
import sys

import onnx
import pytest

import toys
from medshot.core.errors import SaveError
from medshot.core.model_card import RESEARCH_ONLY
from medshot.data.load import load
from medshot.learners import build
from medshot.nn.onnx import OPSET
from medshot.stages.export.onnx_file import export_onnx, script_beside
from toys.commands import folder

BLOCKED = "import sys; sys.modules.update(torch=None, medshot=None); import runpy; "


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A predictor, the pictures that it learned from, and its file."""
    place = tmp_path_factory.mktemp("export")
    pictures = folder(place / "mine", (4, 4))
    predictor = build("nearest-centroid", encoder=toys.conv4()).adapt(load(pictures))
    predictor.card = predictor.card.after("harden", attack="pgd")
    return predictor, pictures, export_onnx(predictor, place / "model.onnx")


def test_what_must_travel_with_it_is_inside(made):
    predictor, _, file = made
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    found = {p.key: p.value for p in model.metadata_props}
    assert found["notice"] == RESEARCH_ONLY
    assert json.loads(found["labels"]) == list(predictor.card.labels)
    assert json.loads(found["task"]) == {"kind": "classification", "n_outputs": 2}
    assert json.loads(found["preprocessing"])["options"]["size"] == toys.SIZE
    assert json.loads(found["stages"]) == [{"stage": "harden", "attack": "pgd"}]
    assert {o.domain: o.version for o in model.opset_import} == {"": OPSET}
    assert [v.name for v in (*model.graph.input, *model.graph.output)] == ["images", "answer"]


def test_a_script_without_medshot_and_torch_gives_the_same_probabilities(made):
    predictor, pictures, file = made
    script = script_beside(file, predictor.known_card())
    paths = sorted(map(str, pictures.glob("*.png")))[:3]
    run = f"{BLOCKED}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-c", run, str(script), str(file), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer.pop("path") for answer in answers] == paths
    for answer, path in zip(answers, paths, strict=True):
        assert answer == pytest.approx(predictor.predict(path).probabilities, abs=1e-4)


def test_nothing_is_overwritten_and_nothing_half_stays(made, tmp_path):
    predictor, _, file = made
    before = file.read_bytes()
    with pytest.raises(SaveError, match="exists already"):
        export_onnx(predictor, file)
    assert file.read_bytes() == before
    bare = predictor.freeze()
    bare.card = None
    with pytest.raises(SaveError, match="knows neither its labels"):
        export_onnx(bare, tmp_path / "other.onnx")
    assert list(tmp_path.iterdir()) == []
