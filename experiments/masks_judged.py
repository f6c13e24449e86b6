"""Rivals of `stacked-masks`, the same episodes for all, and their table (for stacked_masks.py)."""

import itertools
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import medshot
from medshot.core.atomic import write_text
from medshot.core.episode import Episode, Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.data.episodes import ImageEpisodes
from medshot.learners.amortized.stacked_masks import label_shares
from medshot.nn.mask_maps import MaskMaps
from medshot.tasks.segmentation import by_image, overlap_counts, surface_distances
from results import markdown
from segmentation import real_set

GROUPS = (
    ("wbc1", "foot_ulcer", "polyp_kvasir"),
    ("nuclei_dsb2018", "nuclei_monuseg", "fetal_head_hc18", "nerve_us"),
    ("drive", "optic_disc_drishti", "liver_ct"),
    ("lung_fields_shenzhen", "dental_periapical", "em_membrane", "gland_glas"),
)
SETS = tuple(itertools.chain(*GROUPS))
SHOTS, EPISODES, QUERIES = (1, 4, 16), 4, 12  # of judging
SLOW = {"unet": 2, "forest": 2}  # episodes, in place of EPISODES: these take minutes for each
Cells = dict[tuple[str, str], list[dict[str, Any]]]  # rows of a learner on a set, one a seed
UNET: dict[str, Any] = {"width": 16, "depth": 4}
SCALES = (0.8, 2.0, 4.0, 8.0)  # pixels, of the filters of the random forest


def judged(learner: Learner, name: str, episodes: int = EPISODES) -> dict[str, Any]:
    """Scores of every query, and the processor's seconds, at each number of images."""
    data, cells = real_set(name), {}
    for shot in SHOTS:
        try:
            source = ImageEpisodes(data, shot=shot, query=QUERIES, seed=5)
        except medshot.DataError:
            continue  # so few images cannot show all classes
        cell: dict[str, Any] = {"dice": [], "distance": [], "empty": [], "seconds": []}
        for i in range(episodes):
            _judge(learner, source.episode(i), cell)
        cells[str(shot)] = cell | {"fingerprint": source.fingerprint(episodes)}
    return {"shots": cells}


@torch.no_grad()
def _judge(learner: Learner, episode: Episode, cell: dict[str, Any]) -> None:
    started = time.process_time()
    predictor = learner.adapt(episode.support, episode.task)
    answer, k = predictor(episode.query.x).argmax(1).numpy(), episode.task.n_outputs
    cell["seconds"].append(round(time.process_time() - started, 3))
    truth = episode.query.y.numpy()
    counts = overlap_counts(answer.reshape(len(answer), -1), truth.reshape(len(truth), -1), k)
    cell["dice"] += np.round(by_image(*counts), 4).tolist()
    far = surface_distances(answer, truth, k, (1.0, 1.0))
    for row in far:
        cell["distance"].append(
            round(float(np.nanmean(row)), 2) if np.isfinite(row).any() else None
        )
    cell["empty"] += (~(answer > 0).any((1, 2)) & (truth > 0).any((1, 2))).tolist()


class UNetFromScratch(Learner):
    """A U-Net trained by Adam on the support alone, 300 steps of 4 images, with flips."""

    supports = (medshot.Segmentation,)

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        del encoder
        self.encoder = medshot.encoder("unet", **UNET)

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Train."""
        torch.manual_seed(0)
        body = medshot.encoder("unet", **UNET)
        head = nn.Conv2d(body.n_features, task.n_outputs, 1)
        net, rng = nn.Sequential(body, head), torch.Generator().manual_seed(0)
        optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
        with torch.enable_grad():
            for step in range(300):
                optimizer.param_groups[0]["lr"] = 3e-3 * (1 + math.cos(math.pi * step / 300)) / 2
                chosen = torch.randperm(len(support), generator=rng)[:4]
                x, y = support.x[chosen], support.y[chosen]
                for axis in (-1, -2):
                    if torch.rand((), generator=rng) < 0.5:
                        x, y = x.flip(axis), y.flip(axis)
                optimizer.zero_grad()
                task.loss(net(x), y).backward()
                optimizer.step()
        return _Plain(net.eval())


class _Plain(Predictor):
    """A network that gives logits."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Its logits."""
        return self.net(x)


class Prototypes(Learner):
    """Cosine similarity to the mean deep features of each class (Wang et al. 2019, PANet)."""

    supports = (medshot.Segmentation,)

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def check(self, task: Task) -> None:
        """Its maps are no encoder of pixels."""

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Average the directions of the support's cells."""
        maps_of = MaskMaps(self.encoder)
        unit = F.normalize(maps_of(support.x).objects(), dim=1)
        shares = label_shares(support.y, task.n_outputs, unit.shape[2:], unit)
        centers = F.normalize(torch.einsum("nkij,nfij->kf", shares, unit), dim=1)

        def answer(x: Tensor) -> Tensor:
            unit = F.normalize(maps_of(x).objects(), dim=1)
            alike = torch.einsum("kf,nfij->nkij", centers, unit)
            return F.interpolate(alike, x.shape[2:], mode="bilinear")

        return _Plain(answer)


def _mean_mask(encoder: nn.Module) -> Learner:
    """The support's mean mask, at the level that marks the support best."""
    del encoder
    return medshot.build("mean-mask", encoder=medshot.encoder("filters"))


def _forest(encoder: nn.Module) -> Learner:
    """A random forest of 100 trees on the filters of 20,000 pixels, half of them foreground."""
    del encoder
    return medshot.build("forest", encoder=medshot.encoder("filters", scales=SCALES))


RIVALS: dict[str, Any] = {
    "mean mask": _mean_mask,
    "prototypes": Prototypes,
    "forest": _forest,
    "unet": UNetFromScratch,
}


def gather(source: Path, kept: Path) -> None:
    """Keep the scores of every query as one line for each learner, set and seed."""
    rows = [json.loads(file.read_text()) for file in sorted(source.glob("judged/*.json"))]
    for row in rows:
        if row["learner"] == "refined":
            row["shots"].pop("1", None)  # so few are not refined
    write_text(kept, "".join(json.dumps(row) + "\n" for row in rows))


def read_rows(kept: Path) -> list[dict[str, Any]]:
    """The lines that are kept."""
    return [json.loads(line) for line in kept.read_text().splitlines()]


def table(rows: list[dict[str, Any]]) -> str:
    """Dice of each learner on each set: a table for each number of images."""
    text = "".join(_by_learner(rows, str(shot)) for shot in SHOTS)
    made = sorted({f"{row['hardware']}, commit `{row['commit']}`" for row in rows})
    return f"{text}{'; '.join(made)}\n"


def _by_learner(rows: list[dict[str, Any]], shot: str) -> str:
    """Learners by sets, with means over the sets that a learner has, and what it is ahead by."""
    cells: Cells = {}
    for row in rows:
        if shot in row["shots"]:
            cells.setdefault((row["learner"], row["set"]), []).append(row["shots"][shot])
    learners = [
        key for key in ("open", "refined", "all", *RIVALS) if any(k == key for k, _ in cells)
    ]
    sets = [name for name in SETS if any(s == name for _, s in cells)]
    lines = []
    for key in learners:
        own = [name for name in sets if (key, name) in cells]
        means = {
            part: np.mean([_mean(cells[key, name], part) for name in own])
            for part in ("distance", "empty", "seconds")
        }
        of_sets = np.array([_episodes(cells[key, name]).mean() for name in own])
        told = [f"{100 * of_sets.mean():.1f} ({len(own)})", f"{means['distance']:.1f}"]
        told += [f"{100 * means['empty']:.0f}", f"{means['seconds']:.1f}"]
        found = [_dice(cells.get((key, name))) for name in sets]
        lines.append([NAMES.get(key, key), *found, *told, _behind(cells, key, own)])
    lines.append(_ahead(cells, sets))
    head = ["learner", *sets, "mean (sets)", "distance", "empty, %", "seconds", "to the package"]
    return f"**{shot} image(s).**\n\n{markdown(head, lines)}\n"


def _ahead(cells: Cells, sets: Sequence[str]) -> list[str]:
    """Paired difference of the package to the best other on each set, and its mean."""
    gaps: dict[str, float] = {}
    for name in sets:
        others = [_gap(cells, "open", key, name) for key in RIVALS if (key, name) in cells]
        if others and ("open", name) in cells:
            gaps[name] = min(others)
    told = [f"{gaps[name]:+.1f}" if name in gaps else "" for name in sets]
    mean = f"{np.mean(list(gaps.values())):+.1f} ({len(gaps)})" if gaps else ""
    return ["the package to the best other", *told, mean, "", "", "", ""]


def _gap(cells: Cells, key: str, other: str, name: str) -> float:
    """Mean difference in the episodes that both have, in points of Dice."""
    one, two = _episodes(cells[key, name]), _episodes(cells[other, name])
    n = min(len(one), len(two))
    return float(100 * (one[:n] - two[:n]).mean())


def _behind(cells: Cells, key: str, own: Sequence[str]) -> str:
    """Paired difference of `key` to the package: mean and interval over sets, highest."""
    shared = [name for name in own if ("open", name) in cells]
    if key == "open" or len(shared) < 2:
        return ""
    gaps = [_gap(cells, key, "open", name) for name in shared]
    half = 1.96 * np.std(gaps, ddof=1) / len(gaps) ** 0.5
    return f"{np.mean(gaps):+.1f} ± {half:.1f}, highest {max(gaps):+.1f}"


def _mean(cells: list[dict[str, Any]], part: str) -> float:
    return float(np.mean([value for cell in cells for value in cell[part] if value is not None]))


def _episodes(cells: list[dict[str, Any]]) -> Any:
    """Dice of each episode, the mean of the seeds."""
    return np.mean([np.reshape(cell["dice"], (-1, QUERIES)).mean(1) for cell in cells], 0)


def _dice(cells: list[dict[str, Any]] | None) -> str:
    """Mean over episodes and seeds, ± half of the interval over episodes (of the mean of seeds)."""
    if cells is None:
        return ""
    each = _episodes(cells)
    return f"{100 * each.mean():.1f} ± {196 * each.std(ddof=1) / len(each) ** 0.5:.1f}"


NAMES = {"open": "`stacked-masks` (the package)", "all": "`stacked-masks`, more sets known"}
NAMES["refined"] = "`stacked-masks`, refined"
NAMES |= {"unet": "U-Net from scratch", "forest": "random forest on filters"}
