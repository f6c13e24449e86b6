"""Structured pruning: a predictor with fewer channels, distilled from itself with all of them.

Channels that are added to each other, or pass through one layer after another, go together: the
library Torch-Pruning follows them through the graph of a forward pass.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import (
    ConfigError,
    Predictor,
    TaskError,
    called,
    freeze_copy,
    make,
    recipe,
    unfreeze_copy,
)
from medshot.nn.encoders.adapters import Pruned, widths
from medshot.nn.encoders.mobilenet import MobileNet
from medshot.nn.heads import Linear
from medshot.stages.compress.imitation import Images, examples_for, imitate
from medshot.training.progress import Watch, quiet

Energies = dict[nn.Module, Tensor]  # each of as many numbers as it reads channels


@torch.no_grad()
def energies(net: nn.Module, x: Tensor) -> Energies:
    """The mean square of every channel that a layer of `net` reads."""
    found: dict[nn.Module, Any] = defaultdict(float)

    def note(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        axis = -1 if isinstance(module, nn.Linear) else 1
        squares = given[0].movedim(axis, 0).flatten(1).square().mean(1)
        found[module] += squares * len(given[0])

    readers = [m for m in net.modules() if _reads(m)]
    hooks = [m.register_forward_pre_hook(note) for m in readers]
    for part in x.split(16):
        net(part)
    for hook in hooks:
        hook.remove()
    return {module: energy / len(x) for module, energy in found.items()}


def _reads(module: nn.Module) -> bool:
    """Whether each of its outputs is a sum over all channels: a convolution, a linear layer."""
    mixes = isinstance(module, nn.modules.conv._ConvNd | nn.Linear)
    return mixes and getattr(module, "groups", 1) == 1


def importance(group: Any, known: Energies) -> Float[Tensor, "c"]:
    """How much each channel of the group's first layer matters."""
    scores = torch.zeros(1 + max(group[0].idxs), dtype=torch.float64)
    for item in group.items:
        layer = item.dep.target.module
        if layer in known and "in_channels" in item.dep.handler.__name__:
            weight = layer.weight.detach()
            axis = 0 if getattr(layer, "transposed", False) else 1
            read = weight.movedim(axis, 0).flatten(1).square().sum(1) * known[layer]
            scores.index_add_(0, torch.tensor(item.root_idxs), read.cpu().double()[item.idxs])
    return scores


def units(group: Any) -> list[list[int]]:
    """The channels of the group's first layer, those that must go together side by side.

    None at all where something reads them that cannot be cut.
    """
    layers = [item.dep.target.module for item in group.items]
    if any(_cannot_be_cut(layer) for layer in layers):
        return []
    norms = [i for i in group.items if is_grouped(i.dep.target.module)]
    label = {c: c for c in group[0].idxs}
    if norms:
        coarsest = max(norms, key=lambda item: per_group(item.dep.target.module))
        label = _labels(coarsest)
    found: dict[int, list[int]] = defaultdict(list)
    for channel in group[0].idxs:
        found[label[channel]].append(channel)
    together = list(found.values())
    return together if all(_whole(u, item) for u in together for item in norms) else []


def _cannot_be_cut(layer: Any) -> bool:
    if isinstance(layer, nn.Parameter):
        return True
    known = widths(layer)
    if known is None:
        return any(True for _ in layer.parameters())
    return isinstance(layer, nn.modules.conv._ConvNd) and layer.groups not in (1, layer.in_channels)


def is_grouped(layer: Any) -> bool:
    """Whether it normalises several groups of channels, each by itself."""
    return isinstance(layer, nn.GroupNorm) and layer.num_groups > 1


def per_group(norm: nn.GroupNorm) -> int:
    """How many channels are normalised together."""
    return norm.num_channels // norm.num_groups


def _labels(item: Any) -> dict[int, int]:
    """In which group of a normalisation each channel of the first layer is."""
    per = per_group(item.dep.target.module)
    return {root: i // per for root, i in zip(item.root_idxs, item.idxs, strict=True)}


def _whole(unit: list[int], item: Any) -> bool:
    """Whether a normalisation's groups are in the unit with all their channels, or not at all."""
    labels = _labels(item)
    inside = [labels[c] for c in unit if c in labels]
    per = per_group(item.dep.target.module)
    return all(inside.count(label) == per for label in set(inside))


class Net(nn.Module):
    """An encoder and the linear layer that reads its features, of images or of sites."""

    def __init__(self, encoder: nn.Module, head: nn.Linear | nn.Conv2d | nn.Conv3d) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k *t"]:
        """The outputs of the head."""
        return self.head(self.encoder(x))


class Trunk(nn.Module):
    """An encoder whose features are of several depths, as one layer after the other.

    `kept` are the layers whose maps it reads: what is made of them needs all their channels.
    """

    def __init__(self, encoder: nn.Module, reader: MobileNet) -> None:
        super().__init__()
        self.encoder, self._reader = encoder, [reader]  # a list: no second name for its layers

    @property
    def kept(self) -> list[nn.Module]:
        """The layers whose channels stay."""
        return [self._reader[0].layers[name] for name in self._reader[0].depths]

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """The map after the last layer."""
        return self._reader[0].maps(x, ())[-1]


def remove_channels(
    net: Net | Trunk, x: Float[Tensor, "n c *s"], share: float, *, features_too: bool
) -> None:
    """Take `share` of the channels out of every layer of `net`, those that matter least for `x`.

    A channel matters as much as the layers that read it make of it: the sum over these of the
    squares of the weights that read it, times the mean square of what they read. Channels that are
    normalised as one group go together, so that the others are normalised as before. What the head
    gives stays, and so does what it reads, unless `features_too`; of a `Trunk` all that is read
    stays, in any case.

    Source: Sun et al. 2023, arXiv:2306.11695 (the score of one weight: its size times the norm of
    its input; here it is squared, and summed over all weights that read a channel); Fang et al.
    2023, arXiv:2301.12900 (which channels are tied to each other).

    Raises:
        TaskError: there is no layer that channels can be taken from.
        ConfigError: `share` is too small to take one from any layer.
    """
    graph = _library().DependencyGraph().build_dependency(net, x[:1], verbose=False)
    known = energies(net, x)
    plans = []
    for group in graph.get_all_groups(ignored_layers=[net.head] if isinstance(net, Net) else []):
        together = units(group)
        if together and _may_go(group, net, features_too):
            plans.append((group[0], _weakest(together, importance(group, known), share)))
    if not plans:
        raise TaskError(
            f"{called(net.encoder)} has no convolutions whose channels could be removed. "
            "Distil it (--distil small), or take a predictor with an encoder like conv4 or unet."
        )
    if not any(gone for _, gone in plans):
        raise ConfigError(f"A share of {share} takes no channel of any layer: take a larger one.")
    with _same_group_sizes(net):
        for root, gone in plans:
            if gone:
                graph.get_pruning_group(root.dep.target.module, root.dep.handler, gone).prune()


def _may_go(group: Any, net: Net | Trunk, features_too: bool) -> bool:
    """Whether none of the channels of `group` is one that must stay."""
    targets = [(item.dep.target.module, item.dep.handler.__name__) for item in group.items]
    if isinstance(net, Net):
        return features_too or all(module is not net.head for module, _ in targets)
    return not any(module in net.kept and "out_channels" in how for module, how in targets)


def _library() -> ModuleType:
    try:
        import torch_pruning  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError as error:
        what = f"Pruning needs the package {error.name}, which is not installed."
        raise ConfigError(f'{what} Type: pip install "medshot[compress]"') from error
    return torch_pruning


def _weakest(units: list[list[int]], scores: Tensor, share: float) -> list[int]:
    """The channels of the `share` of units whose sum of scores is lowest; one unit stays."""
    found = torch.stack([scores[unit].sum() for unit in units])
    order = found.argsort(stable=True)[: int(share * len(units) + 1e-9)]
    return sorted(channel for i in order.tolist() for channel in units[i])


@contextmanager
def _same_group_sizes(net: nn.Module) -> Iterator[None]:
    """What is cut in the block loses groups of its normalisation, not channels of a group."""
    norms = [m for m in net.modules() if isinstance(m, nn.GroupNorm) and is_grouped(m)]
    sizes = [per_group(norm) for norm in norms]
    yield
    for norm, size in zip(norms, sizes, strict=True):
        norm.num_groups = norm.num_channels // size


def encoder_owner(predictor: Predictor) -> Any:
    """The part of a predictor that holds its one encoder, as `encoder`.

    Raises:
        TaskError: there are several, or none.
    """
    found = [
        part
        for part in predictor.modules()
        if isinstance(part, Predictor) and isinstance(getattr(part, "encoder", None), nn.Module)
    ]
    if len(found) != 1:
        raise TaskError(
            f"{called(predictor)} holds {len(found)} encoders, and this is for one. Take "
            "each predictor before they are joined, or distil into an encoder by name."
        )
    return found[0]


def cut(predictor: Predictor, x: Tensor, share: float) -> Predictor:
    """`predictor` without `share` of the channels of each layer, its other weights as they were.

    Raises:
        ConfigError: `share` takes no channel of any layer.
        TaskError: it has no channels that could be removed, or not one encoder.
    """
    home = encoder_owner(predictor)
    encoder: Any = home.encoder
    linear = home is predictor and type(home) is Linear
    sliced = linear and not getattr(encoder, "begins_with_image", False)
    copied: Any = unfreeze_copy(home)
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


def prune(
    predictor: Predictor,
    examples: Images,
    share: float = 0.5,
    *,
    teacher: Predictor | None = None,
    steps: int = 300,
    lr: float = 1e-3,
    folder: Path | None = None,
    watch: Watch = quiet,
) -> Predictor:
    """`predictor` without `share` of the channels of each layer, and then taught by `teacher`.

    The channels are gone, not masked: the layers are smaller. Those go that matter least for the
    images of `examples`. Then, in `steps` steps, the smaller network learns to give the answers of
    `teacher`, which is `predictor` itself if not told; labels are not needed. A linear head loses
    what it read of the last layer. Other heads (prototypes, ...) need all features: for them that
    layer stays as wide as it is. So do all layers whose maps are features (the depths of a
    mobilenet, and the depthwise layers after them). How channels are chosen:
    `medshot.stages.compress.prune`.

    Raises:
        ConfigError: `share` is not above 0 and below 1, or takes no channel of any layer.
        DataError: fewer than two images, or values that are not finite.
        ShapeError: images of another form than the predictor takes.
        TaskError: the predictor is transductive, or has no channels that could be removed; the
            teacher is transductive, or knows other labels.
    """
    check_share(share)
    shown, card = examples_for(predictor, examples), predictor.known_card()
    _check_teacher(predictor, teacher or predictor)
    student = unfreeze_copy(cut(predictor.freeze(), shown.x, share))
    imitate(
        student,
        teacher or predictor,
        shown,
        task=card.task,
        steps=steps,
        lr=lr,
        folder=folder,
        settings={"stage": "prune", "share": share},
        watch=watch,
    )
    after = card.after("prune", share=share, steps=steps, lr=lr, images=len(shown))
    return freeze_copy(student).with_card(after)


def check_share(share: float) -> None:
    """Raise `ConfigError` if `share` of the channels cannot be removed."""
    if not 0 < share < 1:
        raise ConfigError(
            f"A share of {share} of the channels cannot be removed: nothing would change, or "
            "nothing would be left. Take one above 0 and below 1."
        )


def _check_teacher(predictor: Predictor, teacher: Predictor) -> None:
    ours, theirs = predictor.known_card(), teacher.known_card()
    if (ours.kind, ours.labels) != (theirs.kind, theirs.labels) or teacher.transductive:
        raise TaskError(
            f"The teacher does {theirs.kind} of {', '.join(theirs.labels)}, the predictor "
            f"{ours.kind} of {', '.join(ours.labels)}. Take a teacher that answers the same "
            "question, for every image by itself."
        )
