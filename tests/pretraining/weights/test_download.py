"""Published weights, laid where the hub's client keeps them; no network is ever asked."""

import importlib
import importlib.util
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from medshot.core.errors import ConfigError, DataError
from medshot.nn.encoders.external import library
from medshot.pretraining.weights import from_hub

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("timm"), reason='needs pip install "medshot[timm]"'
)
NETWORK = "test_resnet"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of a client that may not ask the network."""
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def _laid(cache: Path, network: str) -> dict[str, torch.Tensor]:
    """Weights of `network` where the client of the hub would put them."""
    place = cache / f"models--timm--{network}.r160_in1k"
    (place / "snapshots" / "abc").mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    weights = library("timm").create_model(network, num_classes=1000).state_dict()
    save_file(weights, place / "snapshots" / "abc" / "model.safetensors")
    return weights


def test_weights_that_lie_there_are_taken_for_colour_and_for_grey(cache: Path) -> None:
    weights = _laid(cache, NETWORK)
    found = from_hub(NETWORK, size=32, scaling="signed")
    for name, tensor in found.inner().state_dict().items():
        assert torch.equal(tensor, weights[name])
    assert found.origin == "published weights of timm/test_resnet (timm/test_resnet.r160_in1k)"
    grey = from_hub(NETWORK, size=32, scaling="signed", channels=1)
    x = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(grey(x), found(x.expand(-1, 3, -1, -1)), atol=1e-4, rtol=1e-3)


def test_a_transformer_is_brought_to_another_size(cache: Path) -> None:
    weights = _laid(cache, "test_vit")
    found = from_hub("test_vit", size=32)
    tensors = found.inner().state_dict()
    assert torch.equal(tensors["patch_embed.proj.weight"], weights["patch_embed.proj.weight"])
    assert tensors["pos_embed"].shape[1] < weights["pos_embed"].shape[1]
    assert found(torch.rand(2, 3, 32, 32)).isfinite().all()


def test_without_them_and_without_a_network_one_is_told_what_to_do(cache: Path) -> None:
    with pytest.raises(DataError, match=r"neither be found here nor downloaded .*HF_HUB_OFFLINE"):
        from_hub(NETWORK, size=32)


def test_a_hub_that_cannot_be_reached_is_not_waited_for(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.invalid")
    library("timm")  # which takes long to import
    started = time.monotonic()
    with pytest.raises(DataError, match="neither be found here nor downloaded"):
        from_hub(NETWORK, size=32)
    assert time.monotonic() - started < 8, "the client by itself tries for a minute"
    assert constants.HF_HUB_OFFLINE is False
    _laid(cache, NETWORK)
    assert from_hub(NETWORK, size=32).origin.startswith("published weights")


def test_a_network_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="no network of timm called"):
        from_hub("resnet_of_nobody")
