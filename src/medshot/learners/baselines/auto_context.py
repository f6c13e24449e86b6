"""Auto-context: a voxel classifier, and a second one that reads the answers of the first around."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Examples, Learner, Predictor, Task, part
from medshot.data.episodes import own_groups
from medshot.learners.baselines.atlas import Atlas, AtlasPredictor
from medshot.learners.registry import register
from medshot.nn.volume_maps import (
    FILM,
    NARROW,
    VolumeMaps,
    at_shape,
    blur,
    filled_box,
    place,
    resized,
    uncropped,
    volumes_of,
    working_voxel,
)
from medshot.tasks import Segmentation

MOST = 2**19  # voxels of a working volume: larger ones are coarsened
ALL = 2**23  # voxels of all copies
COPIES, MOST_COPIES = 24, 12  # in all at least, and of one volume, the volume itself among them
ROWS = 60_000  # voxels to learn from
NEAR = 5  # side of the cube around foreground from which half of them are drawn
FOLDS = 2  # of the first classifiers, whose answers the second learns from
HIDDEN = (64, 96)  # of the first and the second
FIRST = 0.625  # steps of a first classifier, relative to those of the second
BATCH, RATE, DECAY = 2048, 3e-3, 1e-4
FEW = 14  # times that a voxel is seen at most, where there are few
BALANCE = 0.25  # power of a class's share by which its loss is divided
BEND, TURN, SHIFT, GAMMA = 0.04, 0.06, 0.08, 0.3  # std of the distortions, of half a volume's side
CONTROL = 4  # points a side that bend a volume
SMOOTH = 0.7  # smallest sides of a working voxel: blur of the answers
LEAST = 1e-5  # probability
MANY = 5  # volumes by which the weight of the atlas falls from a half to a third
SURE = 12.0  # logit of background outside of what is filled
MARGIN = 1e-3  # std below which a feature is constant


@part("module", "voxel-network")
class VoxelNetwork(nn.Module):
    """A network of two hidden layers on standardized features of a voxel."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, n_features: int, n_outputs: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("deviation", torch.ones(n_features))
        widths = (n_features, hidden, hidden, n_outputs)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, z: Float[Tensor, "m f"]) -> Float[Tensor, "m k"]:
        """Logits."""
        z = (z - self.mean) / self.deviation
        for layer in self.layers[:-1]:
            z = F.relu(layer(z))
        return self.layers[-1](z)

    def on_maps(self, maps: Float[Tensor, "f z h w"]) -> Float[Tensor, "k z h w"]:
        """Logits of every voxel."""
        rows = maps.flatten(1).T
        found = torch.cat([self(part) for part in rows.split(BATCH * 4)])
        return found.T.unflatten(1, maps.shape[1:])


@part("predictor", "auto-context")
class ContextPredictor(Predictor):
    """Two voxel classifiers in turn, on the filled part of a volume at a working resolution."""

    exportable = False  # which part is filled depends on the values
    whole = True  # features of place are relative to the whole volume: it is not cut

    def __init__(
        self,
        maps: VolumeMaps,
        first: VoxelNetwork,
        second: VoxelNetwork,
        spacing: Sequence[float],
        atlas: AtlasPredictor | None = None,
    ) -> None:
        super().__init__()
        self.maps, self.first, self.second, self.atlas = maps, first, second, atlas
        self.spacing = tuple(spacing)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k *s"]:
        """Logits of every voxel."""
        with torch.autocast(x.device.type, enabled=False):
            found = torch.stack([self._one(volume) for volume in volumes_of(x)])
        return found[:, :, 0] if x.ndim == FILM else found

    def _one(self, volume: Float[Tensor, "z h w"]) -> Float[Tensor, "k z h w"]:
        box = filled_box(volume)
        inside = volume[box]
        shape = resized(inside.shape, self.spacing, self.maps.voxel)
        maps = self.maps(at_shape(inside[None], shape)[0])
        context = self.maps.context(self.first.on_maps(maps))
        found = self.second.on_maps(torch.cat([maps, context])).softmax(0)
        least = min(self.maps.voxel)
        found = blur(found, [max(NARROW, SMOOTH * least / side) for side in self.maps.voxel])
        if self.atlas is not None:
            shape = resized(inside.shape, self.spacing, self.atlas.voxel)
            votes = at_shape(self.atlas.votes(at_shape(inside[None], shape)[0]), found.shape[1:])
            share = 1 / (2 + (len(self.atlas.values) - 1) / MANY)
            found = share * votes + (1 - share) * found
        found = found.clamp(min=LEAST).log()
        return uncropped(found, box, volume.shape, SURE)


class Copy(NamedTuple):
    """A volume of the support, or a distorted copy, at the working resolution."""

    values: Float[Tensor, "z h w"]
    labels: Int[Tensor, "z h w"]
    side: int  # of the folds
    rows: Int[Tensor, "m"]  # voxels to learn from


@register("auto-context")
class AutoContext(Learner):
    """Voxel classifiers on Gaussian derivatives and place, the second with the first's answers.

    A small network is fitted to voxels of the support and of distorted copies of it (turned, bent,
    with other contrast). A second one learns from the same features and from the probabilities
    that the first gives around a voxel, at the distances of `nn.volume_maps.SCALES`. To learn from
    answers as they are on new volumes, those of the support are from networks fitted to the other
    half of it (of one volume: to other copies). Masks far from where the support had them are not
    found where place tells in the support where they are.

    The probabilities are averaged with the votes of `Atlas`, of the `voters` volumes that are most
    similar to a new one (0: without). The votes weigh a half from one volume and less from more.

    Volumes are taken from their first to their last voxel that is not black, as they may be padded,
    and scales are equal in mm along all axes. Those of more than half a million voxels are
    coarsened for it. An image is a volume of one slice.

    Source: Tu & Bai 2010, Auto-context and its application to high-level vision tasks and 3D brain
    image segmentation, IEEE TPAMI 32(10), 1744-1757, doi:10.1109/TPAMI.2009.186. Where we differ:
    small networks in place of boosting, two rounds, and out-of-fold answers (stacked
    generalization, Wolpert 1992) where it takes those on the training images.
    """

    supports = (Segmentation,)
    source = "Tu & Bai 2010, doi:10.1109/TPAMI.2009.186"
    trainable = False
    exact = False
    usual_encoder = "voxels"
    adapts_encoder = True  # it reads the volume, not the encoder's features

    def __init__(self, encoder: nn.Module, *, steps: int = 400, voters: int = 3) -> None:
        super().__init__()
        if steps < 1 or voters < 0:
            raise ConfigError(
                f"steps is {steps}, but must be at least 1, and voters {voters} at least 0."
            )
        self.encoder, self.steps, self.voters = encoder, steps, voters

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Fit both classifiers."""
        volumes, y = volumes_of(support.x), support.y
        y = y[:, None] if support.x.ndim == FILM else y
        spacing = getattr(task, "spacing", None) or (1.0, 1.0, 1.0)
        maps = VolumeMaps(working_voxel(volumes, spacing, MOST)[0]).to(volumes)
        copies = _copies(volumes, y, support.groups, spacing, maps.voxel)
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            first, second = self._fitted(copies, maps, task.n_outputs)
        atlas = None
        if self.voters:
            atlas = Atlas(self.encoder, voters=self.voters).learn(support, task)
        return ContextPredictor(maps, first, second, spacing, atlas).freeze()

    def _fitted(
        self, copies: Sequence[Copy], maps: VolumeMaps, k: int
    ) -> tuple[VoxelNetwork, VoxelNetwork]:
        rows = [maps(each.values).flatten(1).T[each.rows] for each in copies]
        labels = [each.labels.flatten()[each.rows] for each in copies]
        early = max(1, round(FIRST * self.steps))

        def fitted(chosen: Sequence[int]) -> VoxelNetwork:
            z, y = (torch.cat([some[i] for i in chosen]) for some in (rows, labels))
            return _network(z, y, k, HIDDEN[0], early)

        everything = range(len(copies))
        halves = [fitted([i for i in everything if copies[i].side != s]) for s in range(FOLDS)]
        wider = []
        with torch.no_grad():
            for copy, z in zip(copies, rows, strict=True):
                scores = halves[copy.side].on_maps(maps(copy.values))
                around = maps.context(scores).flatten(1).T[copy.rows]
                wider.append(torch.cat([z, around], 1))
        second = _network(torch.cat(wider), torch.cat(labels), k, HIDDEN[1], self.steps)
        return fitted(everything), second


def _copies(
    volumes: Float[Tensor, "n z h w"],
    y: Int[Tensor, "n z h w"],
    groups: Tensor | None,
    spacing: Sequence[float],
    working: Sequence[float],
) -> list[Copy]:
    """The support at the working resolution, cropped, with distorted copies.

    By brightness, so that the order of the support does not matter. Patients stay on one side.
    """
    n = len(volumes)
    order = volumes.flatten(1).double().mean(1).argsort(stable=True).tolist()
    patients = own_groups(groups).tolist() if groups is not None else list(range(n))
    number: dict[int, int] = {}
    for i in order:
        number.setdefault(patients[i], len(number))
    cropped = []
    for i in order:
        box = filled_box(volumes[i])
        box = box if (y[i][box] >= 0).any() else (slice(None),) * 3
        shape = resized(volumes[i][box].shape, spacing, working)
        marks = F.interpolate(y[i][box][None, None].to(volumes), shape, mode="nearest-exact")
        cropped.append((at_shape(volumes[i][box][None], shape)[0], marks[0, 0].long()))
    some = min(MOST_COPIES, round(COPIES / n), ALL // sum(v.numel() for v, _ in cropped))
    some = max(FOLDS if len(number) == 1 else 1, some)
    rng, found = torch.Generator().manual_seed(0), []
    for i, (values, labels) in zip(order, cropped, strict=True):
        for j in range(some):
            v, m = _distorted(values, labels, rng) if j else (values, labels)
            side = (j if len(number) == 1 else number[patients[i]]) % FOLDS
            found.append(Copy(v, m, side, _chosen(m, ROWS // (n * some), rng)))
    return found


def _distorted(
    values: Float[Tensor, "z h w"], labels: Int[Tensor, "z h w"], rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Turned, scaled, shifted and bent, with another contrast."""
    theta = torch.eye(3, 4)
    theta[:, :3] += TURN * torch.randn(3, 3, generator=rng)
    theta[:, 3] += SHIFT * torch.randn(3, generator=rng)
    bend = BEND * torch.randn(1, 3, *(CONTROL,) * 3, generator=rng)
    gamma = float(torch.exp(GAMMA * torch.randn(1, generator=rng)))
    middle = place(values)[:3].movedim(0, -1).flip(-1)  # x, y, z
    grid = (middle @ theta[:, :3].T.to(values) + theta[:, 3].to(values))[None]
    bent = F.interpolate(bend.to(values), values.shape, mode="trilinear", align_corners=True)
    grid = grid + bent.permute(0, 2, 3, 4, 1)
    moved = F.grid_sample(values[None, None], grid, padding_mode="border", align_corners=True)
    marks = F.grid_sample(
        labels[None, None].to(values),
        grid,
        mode="nearest",
        padding_mode="border",
        align_corners=True,
    )
    return moved[0, 0].clamp(min=0) ** gamma, marks[0, 0].round().long()


def _chosen(labels: Int[Tensor, "z h w"], most: int, rng: torch.Generator) -> Int[Tensor, "m"]:
    """Labeled voxels: half of them near foreground, the others anywhere."""
    flat, half = labels.flatten(), max(1, min(most, labels.numel()) // 2)
    marked = (labels > 0)[None, None].float()
    near = F.max_pool3d(marked, NEAR, 1, NEAR // 2).flatten() > 0
    known = flat >= 0
    pools = [(known & near).nonzero().flatten(), known.nonzero().flatten()]
    pools = [pool if len(pool) else known.nonzero().flatten() for pool in pools]
    drawn = [
        pool[torch.randint(max(1, len(pool)), (half,), generator=rng).to(pool.device)]
        for pool in pools
        if len(pool)
    ]
    return torch.cat(drawn) if drawn else flat.new_zeros(0)


def _network(
    z: Float[Tensor, "m f"], y: Int[Tensor, "m"], k: int, hidden: int, steps: int
) -> VoxelNetwork:
    """Fit by AdamW with a rate that rises and falls (Smith & Topin 2019, arXiv:1708.07120)."""
    torch.manual_seed(0)
    network = VoxelNetwork(z.shape[1], k, hidden).to(z)
    network.mean.copy_(z.mean(0))
    network.deviation.copy_(z.std(0, correction=0).clamp(min=MARGIN))
    steps = min(steps, max(20, FEW * len(z) // BATCH))
    shares = torch.bincount(y, minlength=k).to(z).clamp(min=1) / len(y)
    weight = (shares / shares.max()) ** -BALANCE
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
    rng = torch.Generator().manual_seed(0)
    for _ in range(steps):
        some = torch.randint(len(z), (min(BATCH, len(z)),), generator=rng).to(z.device)
        optimizer.zero_grad()
        F.cross_entropy(network(z[some]), y[some], weight).backward()
        optimizer.step()
        schedule.step()
    return network.requires_grad_(False)
