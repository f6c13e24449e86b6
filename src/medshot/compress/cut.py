"""A predictor with fewer channels: the network around them, and a recipe to make it from again."""

from typing import Any

import torch
from torch import Tensor, nn

from medshot.compress.channels import Net, Trunk, remove_channels
from medshot.compress.home import home_of
from medshot.core.predictor import Predictor, trainable
from medshot.core.registry import make, recipe
from medshot.nn.encoders.adapters import Pruned, widths
from medshot.nn.encoders.mobilenet import MobileNet
from medshot.nn.heads import Linear


def cut(predictor: Predictor, x: Tensor, share: float) -> Predictor:
    """`predictor` without `share` of the channels of each layer, its other weights as they were.

    Raises:
        ConfigError: `share` takes no channel of any layer.
        TaskError: it has no channels that could be removed, or not one encoder.
    """
    home = home_of(predictor)
    encoder: Any = home.encoder
    linear = home is predictor and type(home) is Linear
    sliced = linear and not getattr(encoder, "begins_with_image", False)
    copied: Any = trainable(home)
    reader = next((m for m in copied.encoder.modules() if getattr(m, "depths", ())), None)
    if isinstance(reader, MobileNet):
        remove_channels(Trunk(copied.encoder, reader), x, share, features_too=False)
        n_features = encoder.n_features
        return _with_encoder(predictor, home, _pruned(encoder, copied.encoder, n_features))
    net = Net(copied.encoder, _head(home, x)).requires_grad_(True)
    remove_channels(net, x, share, features_too=sliced)
    small = _pruned(encoder, net.encoder, net.head.weight.shape[1])
    if sliced:
        head: Any = net.head
        weight = head.weight.detach().flatten(1).T
        return Linear(small, weight, head.bias.detach(), unit=home.unit)
    return _with_encoder(predictor, home, small)


@torch.no_grad()
def _head(home: Any, x: Tensor) -> nn.Linear | nn.Conv2d | nn.Conv3d:
    """A linear layer that reads the features: the one of a linear head, else one of zeros."""
    z = home.encoder(x[:1])
    k = home.bias.shape[0] if isinstance(home, Linear) else 1
    kinds = {2: nn.Linear, 4: nn.Conv2d, 5: nn.Conv3d}
    kernel = () if z.ndim == 2 else (1,)
    head = kinds[z.ndim](z.shape[1], k, *kernel).to(z)
    if isinstance(home, Linear):
        head.weight.copy_(home.weight.T.reshape(head.weight.shape))
        head.bias.copy_(home.bias)
    return head


def _pruned(encoder: Any, narrow: Any, n_features: int) -> Pruned:
    """What is left of `encoder`, as a part that can be saved."""
    base = encoder.encoder if isinstance(encoder, Pruned) else encoder
    cut: Any = narrow.encoder if isinstance(encoder, Pruned) else narrow
    wanted = recipe(base)
    whole = make(wanted)
    layers = [
        [name, *now]
        for name, layer in cut.named_modules()
        if (now := widths(layer)) and now != widths(whole.get_submodule(name))
    ]
    options = {"encoder": wanted, "layers": layers, "n_features": n_features}
    small = make({"part": "module/pruned", "options": options})
    small.encoder.load_state_dict(cut.state_dict(), assign=True)
    return small.requires_grad_(False).eval()


def _with_encoder(predictor: Predictor, home: Any, encoder: Pruned) -> Predictor:
    """`predictor` with another encoder in its part `home`, which gives as many features."""
    name = next(n for n, part in predictor.named_modules() if part is home)
    prefix = f"{name}.encoder." if name else "encoder."
    kept = {n: t for n, t in predictor.state_dict().items() if not n.startswith(prefix)}
    new = {prefix + n: t for n, t in encoder.state_dict().items()}
    made = make(_replaced(recipe(predictor), recipe(home.encoder), recipe(encoder)))
    made.load_state_dict({**kept, **new}, assign=True)
    return made.requires_grad_(False).eval()


def _replaced(value: Any, old: Any, new: Any) -> Any:
    """A recipe with one part of it exchanged."""
    if value == old:
        return new
    if isinstance(value, dict):
        return {k: _replaced(v, old, new) for k, v in value.items()}
    return [_replaced(v, old, new) for v in value] if isinstance(value, list) else value
