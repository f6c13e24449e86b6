"""What stands after --encoder: names, folders and files, each told from the others."""

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from medshot.api.resolve import automatic, describe, run_or_learner, training_data_of
from medshot.core.errors import ConfigError, DataError, SaveError
from medshot.factory import chosen_encoder
from medshot.nn import encoder as build_encoder
from medshot.pretraining import pretrain, save_encoder
from toys import conv4, dataset
from toys.fixtures import _few_draws, _on_the_path, medshot, run, taught

__all__ = ["_few_draws", "_on_the_path", "medshot", "run", "taught"]  # fixtures

SMALL = {"width": 8, "size": 16, "channels": 1}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `medshot pretrain` writes."""
    learned = pretrain(conv4(), dataset(shots=8), steps=1, batch=8)
    return save_encoder(learned, tmp_path_factory.mktemp("encoders") / "encoder")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file that does not say of which network it is."""
    save_file(conv4().state_dict(), tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


def test_a_name_is_an_untrained_encoder_in_the_form_of_the_protocol() -> None:
    found = chosen_encoder("conv4", {"width": 8}, {"channels": 1, "size": 28, "scaling": "invert"})
    assert (found.origin, found.size, found.scaling) == ("untrained", 28, "invert")


def test_a_folder_has_its_options(folder: Path) -> None:
    found = chosen_encoder(str(folder), {}, {"size": 28})
    assert (found.channels, found.size) == (1, 16)
    with pytest.raises(ConfigError, match=r"leave out --set encoder\.size"):
        chosen_encoder(str(folder), {"size": 28}, {})


def test_a_run_gives_its_encoder(run: Path) -> None:
    found = chosen_encoder(str(run), {}, {})
    assert found.origin.startswith("meta-trained on")
    assert found.seen


def test_a_file_takes_the_network_that_is_named(weights: Path) -> None:
    found = chosen_encoder(str(weights), {"network": "conv4", **SMALL}, {})
    assert found.origin == "weights of small.safetensors"
    with pytest.raises(DataError, match="another architecture"):
        chosen_encoder(str(weights), {"network": "conv4", **SMALL, "width": 16}, {})
    with pytest.raises(ConfigError, match="Did you mean 'conv4'"):
        chosen_encoder(str(weights), {"network": "conv5"}, {})
    with pytest.raises(DataError, match=r"encoder\.network="):
        chosen_encoder(str(weights), {}, {})


def test_weights_keep_the_scaling_that_they_learned_with(weights: Path) -> None:
    asked = {"channels": 1, "size": 16, "scaling": "invert"}
    found = chosen_encoder(str(weights), {"network": "conv4", "width": 8}, asked)
    assert (found.size, found.scaling) == (16, "standard")
    typed = {"network": "conv4", "width": 8, "scaling": "signed"}
    assert chosen_encoder(str(weights), typed, asked).scaling == "signed"


def test_a_name_with_a_package_takes_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "efficientnet-lite0"
    with pytest.raises(ConfigError, match="'efficientnet-lite0'"):
        chosen_encoder(name, {"width": 8}, {})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'"medshot\[efficientnet\]"'):
        chosen_encoder(name, {"size": 128}, {"scaling": "standard"})


@pytest.mark.parametrize("name", ["small", "small.safetensors"])
def test_a_file_may_lie_where_the_variable_says(
    weights: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("MEDSHOT_WEIGHTS", str(weights.parent))
    found = chosen_encoder(name, {"network": "conv4", **SMALL}, {})
    assert torch.equal(found(torch.zeros(1, 1, 16, 16)), found(torch.zeros(1, 1, 16, 16)))


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ("conv5", ConfigError, "Did you mean 'conv4'"),
        ("none.npz", DataError, "MEDSHOT_WEIGHTS names no folder"),
        ("torch/resnet50", ConfigError, "no encoder called 'torch/resnet50'"),
    ],
)
def test_what_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, given: str, error: type[Exception], told: str
) -> None:
    monkeypatch.delenv("MEDSHOT_WEIGHTS", raising=False)
    with pytest.raises(error, match=told):
        chosen_encoder(given, {}, {})


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="medshot pretrain"):
        chosen_encoder(str(tmp_path), {}, {})


def test_a_learner_on_it_says_where_its_weights_are_from_and_what_they_saw(folder: Path) -> None:
    learner = run_or_learner("linear-probe", str(folder), [])
    assert learner.origin.startswith("pretrained (reconstruct) on toy")
    assert describe(learner) == "linear-probe on conv4 (pretrained)"
    assert training_data_of("linear-probe", learner)[0]["hash"] == "no hash"


def test_auto_chooses_among_learners_on_the_encoder_that_is_named(folder: Path) -> None:
    auto = automatic(str(folder))
    assert {type(c).__name__ for c in auto.candidates} > {"LinearProbe"}
    assert len({id(c.encoder) for c in auto.candidates}) == 1
    assert len(auto.candidates) == len({describe(c) for c in auto.candidates})
    assert automatic("conv4", ["encoder.width=8"]).encoder.n_features < 64 * 16
    for wrong in ((None, ["encoder.width=8"]), (str(folder), ["c=1"])):
        with pytest.raises(ConfigError, match="auto chooses the learner"):
            automatic(*wrong)


def test_masks_are_learned_on_an_encoder_that_keeps_the_grid(tmp_path: Path) -> None:
    unet = build_encoder("unet", size=16, width=8, depth=2)
    folder = save_encoder(unet, tmp_path / "unet")
    auto = automatic(str(folder), kind="segmentation")
    assert {type(c).__name__ for c in auto.candidates} == {
        "Forest",
        "LinearProbe",
        "MeanMask",
        "NearestCentroid",
        "StackedMasks",
    }
    assert all(p.requires_grad for p in auto.encoder.parameters()), "fine-tuning moves them"


def test_our_names_come_before_those_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pixels").mkdir()
    monkeypatch.chdir(tmp_path)
    assert isinstance(chosen_encoder("pixels", {}, {}), type(build_encoder("pixels")))


# All options of all commands, frozen: who changes one changes this table, and the changelog.
