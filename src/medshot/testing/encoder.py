"""Contract of encoders."""

import torch
from torch import Tensor, nn

from medshot.core import ConfigError, ShapeError, make, recipe
from medshot.nn.encoder import Encoder, n_features
from medshot.nn.encoder import encoder as build_encoder
from medshot.testing.learner import require, require_close, run_check
from medshot.testing.problems import SIZE


def check_encoder(encoder: str | nn.Module, *, x: Tensor | None = None) -> None:
    """Test that an encoder, a registered name or a module, keeps the contract.

    `x` are images in [0, 1]; by default random ones of the channels and size that it takes.

    Raises:
        AssertionError: the contract is broken; the message says where.
        ConfigError: an unknown name, or a module without `channels` and `size` where `x` is
            missing.
        SaveError: its class is not registered.
        ShapeError: it does not state its number of features.
    """
    module = (build_encoder(encoder) if isinstance(encoder, str) else encoder).eval()
    images = _images(module) if x is None else x
    for check in CHECKS:
        run_check(check, module, images.clone(), who=type(module).__name__)


def _images(encoder: nn.Module) -> Tensor:
    if not isinstance(encoder, Encoder):
        raise ConfigError(
            f"{type(encoder).__name__} does not state what images it takes: give x=..., images "
            "`n c h w` in [0, 1], or make it a subclass of medshot.Encoder."
        )
    sides = [encoder.size or SIZE] * encoder.dims
    return torch.rand(3, encoder.channels, *sides)


def gives_features(encoder: nn.Module, x: Tensor) -> None:
    """Features are finite, `n_features` an image, or a `stride` where `keeps_grid` is set."""
    stride = getattr(encoder, "stride", 1)
    sides = tuple(-(-side // stride) for side in x.shape[2:])
    grid = sides if getattr(encoder, "keeps_grid", False) else ()
    features, wanted = encoder(x), (len(x), n_features(encoder), *grid)
    require(features.shape == wanted, f"Shape {tuple(features.shape)} is not {wanted}.")
    require(bool(features.isfinite().all()), "Not all features are finite.")


def can_be_repeated(encoder: nn.Module, x: Tensor) -> None:
    """In eval mode features are deterministic, and the encoder is not changed."""
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    given = x.clone()
    torch.testing.assert_close(encoder(x), encoder(x), rtol=0, atol=0)
    torch.testing.assert_close(dict(encoder.state_dict()), before, rtol=0, atol=0)
    torch.testing.assert_close(x, given, rtol=0, atol=0)


def reads_alone_as_among_others(encoder: nn.Module, x: Tensor) -> None:
    """Features of an image do not depend on the batch, unless `transductive` is set."""
    if not getattr(encoder, "transductive", False):
        alone = torch.cat([encoder(image[None]) for image in x])
        require_close(alone, encoder(x))


def can_be_made_again(encoder: nn.Module, x: Tensor) -> None:
    """An encoder can be restored from its recipe and its weights."""
    again = make(recipe(encoder))
    again.load_state_dict(encoder.state_dict())
    require_close(again.eval()(x), encoder(x))


def says_its_source(encoder: nn.Module, x: Tensor) -> None:
    """A subclass of `Encoder` names its reference in `source`."""
    del x
    if isinstance(encoder, Encoder):
        require(bool(type(encoder).source), "Set `source`: author, year, identifier.")


def refuses_another_form(encoder: nn.Module, x: Tensor) -> None:
    """A subclass of `Encoder` raises for images with a channel too many: use `self.scaled(x)`."""
    if isinstance(encoder, Encoder) and x.ndim > 2:
        try:
            encoder(torch.cat([x, x[:, :1]], 1))
        except ShapeError:
            return
        raise AssertionError(f"It accepted images with {x.shape[1] + 1} channels.")


CHECKS = (
    gives_features,
    can_be_repeated,
    reads_alone_as_among_others,
    can_be_made_again,
    says_its_source,
    refuses_another_form,
)
