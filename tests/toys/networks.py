"""Predictors whose numbers are random, so that every channel matters."""

from collections.abc import Mapping
from contextlib import ExitStack

import torch
from torch import Tensor, nn

import toys
from medshot.core.predictor import Card, Predictor
from medshot.data.transforms import ImagePreprocessing
from medshot.nn import UNet
from medshot.nn.heads import Linear
from medshot.tasks import Segmentation


def randomised(module: nn.Module) -> nn.Module:
    """Normalisations too get weights of their own, which are 1 and 0 in an untrained network."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            spread = torch.rand_like(tensor) + 0.5 if "var" in name else 0.3 * torch.randn(1)
            tensor.copy_(spread if "var" in name else tensor + spread * torch.randn_like(tensor))
    return module


def classifier(k: int = 3, **options: object) -> Predictor:
    """A linear head on a small conv4, with a card."""
    encoder = randomised(toys.conv4(**{"width": 16, **options}))
    f = encoder.n_features
    found = Linear(encoder, torch.randn(f, k), torch.randn(k))
    return found.freeze().with_card(toys.card(k))


def segmenter(k: int = 2, **options: object) -> Predictor:
    """A linear head on a small U-Net, with a card."""
    small = {"channels": 1, "size": toys.SIZE, "width": 16, "depth": 2, **options}
    encoder = randomised(UNet(**small).eval())
    labels = tuple(f"class {i}" for i in range(k))
    form = ImagePreprocessing(1, toys.SIZE)
    found = Linear(encoder, torch.randn(encoder.n_features, k), torch.randn(k))
    return found.freeze().with_card(Card(Segmentation(k), labels, form, {"name": "toy"}))


def n_parameters(predictor: Predictor) -> int:
    """All numbers that are saved."""
    return sum(tensor.numel() for tensor in predictor.state_dict().values())


def with_zeroed(predictor: Predictor, x: Tensor, gone: Mapping[str, list[int]]) -> Tensor:
    """The slow way to be without channels: what comes out of the layers named is set to 0 there."""

    def zero(channels: list[int]):
        def hook(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return output.index_fill(1, torch.tensor(channels), 0.0)

        return hook

    with ExitStack() as stack:
        for name, channels in gone.items():
            layer = predictor.encoder.get_submodule(name)
            stack.enter_context(layer.register_forward_hook(zero(channels)))
        return predictor(x)
