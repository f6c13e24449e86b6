"""Published weights, laid where the hub's client keeps them; no network is ever asked."""

import importlib
import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from medshot.core.errors import ConfigError, DataError
from medshot.nn import encoder
from medshot.pretraining.weights import from_hub

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("timm"), reason='needs pip install "medshot[timm]"'
)
NETWORK, PLACE = "test_resnet", "models--timm--test_resnet.r160_in1k"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of a client that may not ask the network."""
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_weights_that_lie_there_are_taken_for_colour_and_for_grey(cache: Path) -> None:
    theirs = encoder("timm", network=NETWORK, size=32)
    place = cache / PLACE
    (place / "snapshots" / "abc").mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    weights = theirs.inner().state_dict() | {"fc.weight": torch.rand(1000, 512)}
    weights |= {"fc.bias": torch.rand(1000)}
    save_file(weights, place / "snapshots" / "abc" / "model.safetensors")
    found = from_hub(NETWORK, size=32, scaling="signed")
    theirs.scaling = "signed"
    x = torch.rand(2, 1, 32, 32).expand(-1, 3, -1, -1)
    assert torch.equal(found(x), theirs(x))
    assert found.origin == "published weights of timm/test_resnet (timm/test_resnet.r160_in1k)"
    grey = from_hub(NETWORK, size=32, scaling="signed", channels=1)
    torch.testing.assert_close(grey(x[:, :1]), theirs(x), atol=1e-4, rtol=1e-3)


def test_without_them_and_without_a_network_one_is_told_what_to_do(cache: Path) -> None:
    with pytest.raises(DataError, match=r"neither be found here nor fetched .*HF_HUB_OFFLINE"):
        from_hub(NETWORK, size=32)


def test_a_network_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="no network of timm called"):
        from_hub("resnet_of_nobody")
