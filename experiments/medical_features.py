"""What experiments/medical.py stands on: frozen features, the adapter, the teachers' episodes.

Each image goes once through the encoder in the box (`medshot.encoder("mobilenet")`, 128 pixels,
five depths). A fixed linear map that is made of the teachers alone brings its 5642 features to 256:
the principal directions about the mean of each set, whitened by the covariance within classes
(shrunk by 0.3 of its mean). What is meta-trained, and what learners that descend move, is the
`Adapter` on those 256, and their own head.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medshot.data.episodes import EpisodeSampler, Mixture
from medshot.evaluation.episodes import EncodedEpisodes
from stacked_probe import MODALITY, Encoded, encoded, loaded

FEATURES, MOST, SHRINKAGE = 256, 150, 0.3  # of the map; of each set, that many images make it
WIDTH = 8  # of the adapter's bottleneck
LENGTH = 4.0  # of features at the start
WAYS, SHOTS, QUERY = (2, 7), (1, 10), 5  # of the teachers' episodes: at least, at most
HELD_OUT = 3  # teachers that choose among the weights
FOLDS = (("CT", "histology", "skin"), ("X-ray", "MRI"))  # modalities that are judged together
SEVERAL = "medical_mnist"  # holds several modalities: never a teacher


class Adapter(nn.Module):
    """z -> s u / |u| with u = z + B gelu(A z): a residual bottleneck, the identity at the start.

    A is 8 x 256 and B 256 x 8, both with a bias; s is learned and starts at 4. Residual adapters:
    Rebuffi et al. 2017, arXiv:1705.08045.
    """

    def __init__(self) -> None:
        super().__init__()
        self.n_features = FEATURES
        self.down, self.up = nn.Linear(FEATURES, WIDTH), nn.Linear(WIDTH, FEATURES)
        self.log_length = nn.Parameter(torch.tensor(LENGTH).log())
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
        """The adapted features, all of one length."""
        moved = z + self.up(nn.functional.gelu(self.down(z)))
        return self.log_length.exp() * nn.functional.normalize(moved, dim=1)


class Later(Encoded):
    """A set whose features are read from their file whenever they are asked for."""

    def __init__(self, name: str, out: Path) -> None:
        self._file = out / "features" / f"{name}.safetensors"
        self.dataset = loaded(name) if self._file.exists() else encoded(name, out).dataset

    def __getattr__(self, name: str) -> Tensor:
        if name not in ("plain", "shown", "bar"):
            raise AttributeError(name)
        return load_file(self._file)[name].float()


def teachers_of(fold: Sequence[str]) -> list[str]:
    """The sets that teach where a set of the modalities `fold` is judged: all other modalities."""
    return [n for n in MODALITY if MODALITY[n] not in fold and n != SEVERAL]


def mapped(fold: Sequence[str], sets: dict[str, Encoded], out: Path) -> dict[str, Tensor]:
    """The 256 features of every image by set, by the map that the teachers make; kept in `out`."""
    file = out / f"mapped without {' '.join(fold)}.safetensors"
    if not file.exists():
        mean, directions = _map(teachers_of(fold), sets)
        found = {n: ((s.plain - mean) @ directions).half() for n, s in sets.items()}
        save_file(found, file)
    return {name: tensor.float() for name, tensor in load_file(file).items()}


def _map(
    teachers: Sequence[str], sets: dict[str, Encoded]
) -> tuple[Float[Tensor, "f"], Float[Tensor, "f g"]]:
    torch.manual_seed(0)
    picked = {n: torch.randperm(len(sets[n].dataset))[:MOST] for n in teachers}
    rows = {n: sets[n].plain[at] for n, at in picked.items()}
    about = torch.cat([z - z.mean(0) for z in rows.values()])
    _, _, axes = torch.svd_lowrank(about, q=FEATURES + 44, niter=2)
    axes = axes[:, :FEATURES]
    within = []
    for name, z in rows.items():
        y = sets[name].dataset.y[picked[name]]
        within += [(z[y == c] - z[y == c].mean(0)) @ axes for c in y.unique()]
    covariance = torch.cat(within).T.cov()
    ridge = SHRINKAGE * covariance.diagonal().mean() * torch.eye(FEATURES)
    values, vectors = torch.linalg.eigh(covariance + ridge)
    mean = torch.stack([z.mean(0) for z in rows.values()]).mean(0)
    return mean, axes @ (vectors * values.rsqrt()) @ vectors.T


def lessons(
    teachers: Sequence[str], sets: dict[str, Encoded], features: dict[str, Tensor], seed: int
) -> tuple[Mixture, Mixture]:
    """Episodes to learn from, and those of `HELD_OUT` other sets to choose weights by.

    Each is of one set, of 2 to 7 of its classes, 1 to 10 images a class, patients apart.
    """
    order = [teachers[i] for i in np.random.default_rng(seed).permutation(len(teachers))]
    return (
        _mixture(order[HELD_OUT:], sets, features, seed),
        _mixture(order[:HELD_OUT], sets, features, seed + 1000),
    )


def _mixture(
    names: Sequence[str], sets: dict[str, Encoded], features: dict[str, Tensor], seed: int
) -> Mixture:
    sources = []
    for name in sorted(names):
        dataset = sets[name].dataset
        most = min(SHOTS[1], min(dataset.counts().values()) - QUERY)
        ways = range(WAYS[0], min(WAYS[1], len(dataset.labels)) + 1)
        samplers = [
            EpisodeSampler(dataset, way=way, shot=(SHOTS[0], most), query=QUERY, seed=seed)
            for way in ways
        ]
        drawn = [EncodedEpisodes(sampler, features[name]) for sampler in samplers]
        sources.append(Mixture(drawn, seed=seed))
    return Mixture(sources, seed=seed)
