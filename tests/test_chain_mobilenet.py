"""All stages in one chain on the packaged encoder, and files of it for other machines."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch

import medshot
from medshot.core.errors import SaveError
from medshot.nn.encoders.conv4 import Conv4
from medshot.stages.export.onnx_file import script_beside
from toys.commands import folder

FORM = {"channels": 3, "size": 32}
BLOCKED = "import sys; sys.modules.update(torch=None, medshot=None); import runpy; "


class Start(NamedTuple):
    """A learner, its predictor, the few images it has seen, and others with their folder."""

    learner: medshot.Learner
    predictor: medshot.Predictor
    mine: medshot.Dataset
    others: medshot.Dataset
    pictures: Path


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    place = tmp_path_factory.mktemp("chain")
    pictures = folder(place / "others", (8, 8), first=50)
    mine, others = (medshot.load(at, **FORM) for at in (folder(place / "mine"), pictures))
    encoder = medshot.encoder("mobilenet", size=FORM["size"])
    learner = medshot.build("stacked-probe", encoder=encoder)
    return Start(learner, learner.adapt(mine), mine, others, pictures)


def accuracy(predictor: medshot.Predictor, others: medshot.Dataset) -> float:
    shown = others.examples()
    return float((predictor.predict_batches(shown.x).argmax(1) == shown.y).double().mean())


def off(predictor: medshot.Predictor, file: Path, x: torch.Tensor) -> float:
    """By how much the probabilities of a file differ."""
    (found,) = onnxruntime.InferenceSession(str(file)).run(None, {"images": x.numpy()})
    with torch.no_grad():
        return float(np.abs(found - predictor(x).softmax(1).numpy()).max())


def test_from_the_packaged_encoder_through_all_stages_to_a_file(start: Start, tmp_path: Path):
    mine, others, x = start.mine, start.others, start.others.examples().x
    tuned = medshot.finetune(start.predictor, mine, "lora", steps=2)
    hard = medshot.harden(tuned, mine, epsilon=2 / 255, attack="fgsm", steps=3, lr=1e-4)
    small = medshot.prune(hard, mine, 0.25, steps=10, lr=1e-4)
    other = medshot.build("nearest-centroid", encoder=medshot.encoder("conv4", **FORM, width=8))
    fused = medshot.fuse([small, other.adapt(mine)])
    int8 = medshot.quantize(fused, mine.examples())
    for name, predictor in {"tuned": tuned, "hard": hard, "small": small, "int8": int8}.items():
        assert accuracy(predictor, others) > 0.6, name
        loaded = medshot.load_predictor(predictor.save(tmp_path / name))
        assert torch.equal(loaded.predict_batches(x), predictor.predict_batches(x)), name
    done = [stage["stage"] for stage in small.known_card().stages]
    assert done == ["finetune", "harden", "prune"]
    assert off(int8, medshot.export_onnx(int8, tmp_path / "int8.onnx"), x) < 1e-4
    sizes = [sum(t.numel() for t in p.state_dict().values()) for p in (hard, small)]
    assert sizes[1] < 0.95 * sizes[0]


def test_what_is_read_of_several_depths_keeps_its_channels(start: Start):
    learner = medshot.build("linear-probe", encoder=start.learner.encoder)
    for predictor in (start.predictor, learner.adapt(start.mine)):
        small = medshot.prune(predictor, start.mine, 0.5, steps=0)
        before, after = (
            {
                name.partition("layers.")[2]: layer.out_channels
                for name, layer in p.named_modules()
                if isinstance(layer, torch.nn.Conv2d)
            }
            for p in (predictor, small)
        )
        kept = {name for name in before if before[name] == after[name]}
        read = set(start.learner.encoder.depths)  # and the depthwise layers that come after them
        assert kept == read | {f"block{i}_dw" for i in (6, 8, 10, 12)}
        again = medshot.prune(small, start.mine, 0.5, steps=0)
        assert sum(p.numel() for p in again.state_dict().values()) < sum(
            p.numel() for p in small.state_dict().values()
        )


def test_pruning_changes_the_answers_little_where_it_takes_little(start: Start):
    small, x = medshot.prune(start.predictor, start.mine, 0.04, steps=0), start.others.examples().x
    with torch.no_grad():
        before, after = start.predictor(x).softmax(1), small(x).softmax(1)
    assert not torch.equal(before, after)
    assert (before - after).abs().mean() < 0.1


@pytest.mark.parametrize("into", ["small", Conv4(**FORM, width=8)], ids=["small", "conv4"])
def test_it_is_distilled_into_a_smaller_encoder(start: Start, into: str | torch.nn.Module):
    small = medshot.distill(start.predictor, start.mine, into, steps=30)
    assert isinstance(small.encoder, Conv4)
    assert small(start.others.examples().x).shape == (16, 2)


def test_the_script_without_medshot_gives_the_same_probabilities(start: Start, tmp_path: Path):
    file = medshot.export_onnx(start.predictor, tmp_path / "model.onnx")
    assert off(start.predictor, file, start.others.examples().x) < 1e-4
    script = script_beside(file, start.predictor.known_card())
    paths = sorted(map(str, start.pictures.glob("*.png")))[:3]
    run = f"{BLOCKED}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-c", run, str(script), str(file), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line, path in zip(done.stdout.splitlines(), paths, strict=True):
        found = json.loads(line)
        assert found.pop("path") == path
        assert found == pytest.approx(start.predictor.predict(path).probabilities, abs=1e-4)


def test_an_encoder_file_that_is_cut_short_is_refused(start: Start, tmp_path: Path):
    saved = medshot.save_encoder(start.learner.encoder, tmp_path / "encoder")
    x = start.others.examples().x
    with torch.no_grad():
        assert torch.equal(medshot.load_encoder(saved)(x), start.learner.encoder(x))
    weights = saved / "weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(SaveError, match=r"weights\.safetensors.*Copy"):
        medshot.load_encoder(saved)
