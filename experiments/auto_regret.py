"""What choosing by `auto` costs and gains: its candidates and its choice on the same episodes.

    python experiments/auto_regret.py --features runs/stacked --out docs/results/auto_regret.json

`medshot adapt` chooses among the stacked probe, the ImageNet linear probe and a linear probe on raw
pixels by cross-validation inside the support and a prior across sets (`selection.Auto`). Here
on the features of the `cls_*` sets (--features: the folder of `stacked_probe.py`, with its priors):
5 and 20 images a class, patients apart; each set judged with a stacked probe and a prior of `Auto`
that know no set of its modality. Regret, by set: balanced accuracy of the bar less that of the
choice where that is above 0; and of the candidate that is best there in the mean, less the choice.
Prints the prior over all sets, for `medshot.presenters.classification.PRIOR`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import medshot
from encoded_sets import MODALITIES, MODALITY, Encoded, encoded, episodes, sizes
from medshot.core.atomic import write_text
from medshot.core.learner import Learner
from medshot.evaluation.episodes import EncodedEpisodes, encode
from medshot.learners.closed_form.stacked_probe import StackedProbe
from medshot.selection.auto import Auto
from medshot.tasks import Classification
from results import arguments, commit, hardware

SHOTS = (5, 20)
CANDIDATES = "stacked probe", "ImageNet linear probe", "linear probe on pixels"
PIXELS = {"size": 64, "reduce": 2}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the file of results")
    parser.add_argument("--episodes", type=int, default=60, help="a set at 5 images; a third at 20")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = {name: encoded(name, options.features) for name in MODALITY}
    rows = {name: Columns(found) for name, found in sets.items()}
    told: dict[str, Any] = {"hardware": hardware(), "commit": commit()}
    for shot in SHOTS:
        alone, count = {}, options.episodes if shot == SHOTS[0] else options.episodes // 3
        for kind, names in MODALITIES.items():
            place = options.features / f"prior without {kind}"
            for name in names:
                found = [
                    _scores(m, sets[name], rows[name], shot, count)
                    for m in _three(rows[name], place)
                ]
                alone[name] = [float(np.mean(s)) for s in found]
        if shot == SHOTS[0]:
            ahead = {name: np.subtract(each, each[0]) for name, each in alone.items()}
            told["prior"] = dict(zip(CANDIDATES, _prior(list(ahead.values())), strict=True))
        chosen = {}
        for kind, names in MODALITIES.items():
            place = options.features / f"prior without {kind}"
            prior = _prior([ahead[n] for n in MODALITY if MODALITY[n] != kind])
            for name in names:
                auto = Auto(_three(rows[name], place), prior=prior)
                chosen[name] = float(np.mean(_scores(auto, sets[name], rows[name], shot, count)))
                print(shot, name, np.round(alone[name], 3), round(chosen[name], 3), flush=True)
        told[str(shot)] = _summary(alone, chosen) | {"episodes": count}
    write_text(options.out, json.dumps(told, indent=1) + "\n")
    print(json.dumps(told, indent=1))


class Columns:
    """All that the candidates read of an image in one row, and where each finds its own."""

    def __init__(self, found: Encoded) -> None:
        pixels = encode(medshot.encoder("pixels", **PIXELS), found.dataset.at(3, PIXELS["size"]))
        parts = {"plain": found.plain, "shown": found.shown, "bar": found.bar, "pixels": pixels}
        ends = np.cumsum([0, *(part.shape[1] for part in parts.values())])
        self.z = torch.cat(list(parts.values()), 1)
        self.at = {name: slice(*ends[i : i + 2]) for i, name in enumerate(parts)}


class Part(nn.Module):
    """In the place of an encoder: some columns of what is given."""

    def __init__(self, columns: slice) -> None:
        super().__init__()
        self.columns = columns

    def forward(self, x: Tensor) -> Tensor:
        """Those columns."""
        return x[:, self.columns]


class Stacked(StackedProbe):
    """The stacked probe on columns: it reads others of a support than of queries."""

    def __init__(self, columns: Columns, place: Path) -> None:
        super().__init__(Part(columns.at["plain"]), prior=str(place))
        self.sizes, self.known, self.shown = sizes(), True, columns.at["shown"]
        self.width = columns.z.shape[1]

    def _read(self, encoder: nn.Module, x: Tensor) -> Tensor:
        return x[:, self.shown] if x.shape[1] == self.width else x  # read already


def _three(columns: Columns, place: Path) -> list[Learner]:
    probes = [
        medshot.build("linear-probe", encoder=Part(columns.at[name])) for name in ("bar", "pixels")
    ]
    return [Stacked(columns, place), *probes]


@torch.no_grad()
def _scores(
    learner: Learner, found: Encoded, columns: Columns, shot: int, count: int
) -> list[float]:
    drawn = EncodedEpisodes(episodes(found, shot, seed=2), columns.z)
    metric, scores = Classification.metrics["balanced accuracy"], []
    for i in range(count):
        support, query, task = (e := drawn.episode(i)).support, e.query, e.task
        p = learner.learn(support, task)(query.x).double().softmax(1).numpy()
        scores.append(float(metric(p, query.y.numpy())))
    return scores


def _prior(ahead: list[Any]) -> list[tuple[float, float]]:
    """Mean and deviation, over sets, of each candidate's score minus that of the first."""
    values = np.array(ahead)
    return [(round(float(v.mean()), 3), round(float(v.std(ddof=1)), 3)) for v in values.T]


def _summary(alone: dict[str, list[float]], chosen: dict[str, float]) -> dict[str, Any]:
    each = 100 * np.array([alone[name] for name in alone])
    auto = 100 * np.array([chosen[name] for name in alone])
    of = {
        "the bar": each[:, 1],
        "the best in hindsight": each.max(1),
        "the stacked probe": each[:, 0],
    }
    return {
        "means": dict(zip((*CANDIDATES, "auto"), [*each.mean(0), auto.mean()], strict=True)),
        "mean regret": {n: round(float((v - auto).clip(0).mean()), 2) for n, v in of.items()},
        "auto minus the bar": round(float((auto - each[:, 1]).mean()), 2),
        "sets": {
            n: [*np.round(each[i], 1).tolist(), round(auto[i], 1)] for i, n in enumerate(alone)
        },
    }


if __name__ == "__main__":
    main()
