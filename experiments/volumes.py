"""Masks of volumes from 1, 4 and 16: the learners of volumes and controls, on the hippocampus.

    python experiments/volumes.py --out runs/volumes

All settings were chosen on the first 50 of the 100 volumes; here, support and queries are drawn
from the other 50. An episode draws so many volumes with masks and asks about 6 others. Controls are
the stretched mean mask, and an atlas registered by SimpleITK (affine by correlation, then symmetric
demons) of every volume. A row, a line of rows.jsonl, is a learner at a number of volumes: Dice,
mean surface distance in mm, the error of a class's volume relative to its true one, and processor
seconds of learning and of one answer. One that is done is left out. Needs
`pip install "medshot[volumes]"` for SimpleITK.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import medshot
from medshot.core.atomic import write_text
from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.data.episodes import ImageEpisodes
from medshot.evaluation.statistics import mean_interval
from medshot.nn.volume_maps import filled_box
from medshot.tasks import Segmentation
from results import arguments, commit, hardware, markdown
from segmentation import real_set

CHOSEN_ON = 50  # volumes that settings were chosen on
SHOTS, EPISODES, ASKED, SEED = (1, 4, 16), 4, 6, 17
VOTERS = 16
LEARNERS = ("auto-context", "atlas", "mean-mask", "simpleitk", "linear-probe", "finetune")
ENCODERS = {"linear-probe": "filters3d", "finetune": "unet3d"}
OPTIONS: dict[str, dict[str, Any]] = {"finetune": {"lr": 0.01, "steps": 600, "batch": 1}}
SLOW = ("finetune",)  # only when it is named
DISTANCE = "mean surface distance (mm)"


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    import SimpleITK  # noqa: PLC0415  (optional, and not for the tables)

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    data = real_set("hippocampus")
    judged = data.subset(torch.arange(CHOSEN_ON, len(data)))
    file = options.out / "rows.jsonl"
    rows = _rows(file)
    for name in options.learners or [name for name in LEARNERS if name not in SLOW]:
        for shot in options.shots:
            if any((row["learner"], row["shot"]) == (name, shot) for row in rows):
                continue
            rows.append(_row(name, shot, judged))
            write_text(file, "".join(json.dumps(row) + "\n" for row in rows))
            print(rows[-1], flush=True)


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--learners", nargs="*", choices=LEARNERS, help="only these")
    parser.add_argument("--shots", nargs="*", type=int, default=SHOTS)
    return parser.parse_args()


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _learner(name: str) -> Learner:
    if name == "simpleitk":
        return SimpleItkAtlas()
    torch.manual_seed(0)
    encoder = medshot.encoder(ENCODERS.get(name, "voxels"))
    return medshot.build(name, encoder=encoder, **OPTIONS.get(name, {}))


def _row(name: str, shot: int, data: Any) -> dict[str, Any]:
    """Scores of every episode; seconds are medians."""
    learner, source = _learner(name), ImageEpisodes(data, shot=shot, query=ASKED, seed=SEED)
    scores: dict[str, list[float]] = {"Dice": [], DISTANCE: [], "volume error": []}
    learning, answering = [], []
    for i in range(EPISODES):
        episode = source.episode(i)
        started = time.process_time()
        predictor = learner.adapt(episode.support, episode.task)
        learning.append(time.process_time() - started)
        started = time.process_time()
        with torch.no_grad():
            output = predictor.predict_batches(episode.query.x)
        answering.append((time.process_time() - started) / len(episode.query))
        decoded = episode.task.decode(output).numpy()
        found = episode.task.metric_inputs(decoded, episode.query.y.numpy())
        for metric in ("Dice", DISTANCE):
            scores[metric].append(round(float(episode.task.metrics[metric](*found)), 4))
        claimed, true = (np.asarray(each)[:, 1:].astype(float) for each in found[1:3])
        scores["volume error"].append(round(float((abs(claimed - true) / true).mean()), 4))
    row: dict[str, Any] = {"learner": name, "shot": shot, "scores": scores}
    row |= {"seconds": [round(float(np.median(each)), 2) for each in (learning, answering)]}
    return row | {
        "fingerprint": source.fingerprint(EPISODES),
        "hardware": hardware(),
        "commit": commit(),
    }


class SimpleItkAtlas(Learner):
    """The mean of the support's masks, registered to a volume by SimpleITK."""

    supports = (Segmentation,)

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Identity()

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Keep the first `VOTERS` volumes."""
        pairs = list(zip(support.x[:VOTERS, 0], support.y[:VOTERS], strict=True))
        boxes = [filled_box(x) for x, _ in pairs]
        kept = [(x[box], y[box]) for (x, y), box in zip(pairs, boxes, strict=True)]
        return SimpleItkVotes(kept, task.n_outputs)


class SimpleItkVotes(Predictor):
    """Share of the votes of registered masks."""

    def __init__(self, pairs: list[tuple[Tensor, Tensor]], n_outputs: int) -> None:
        super().__init__()
        self.pairs, self.n_outputs = pairs, n_outputs

    def forward(self, x: Tensor) -> Tensor:
        """Shares."""
        found = torch.zeros(len(x), self.n_outputs, *x.shape[2:])
        found[:, 0] = 1
        for i, volume in enumerate(x[:, 0]):
            box = filled_box(volume)
            votes = [
                registered_marks(volume[box].numpy(), moving.numpy(), mask.numpy(), self.n_outputs)
                for moving, mask in self.pairs
            ]
            found[(i, slice(None), *box)] = torch.from_numpy(np.mean(votes, 0)).float()
        return found


def registered_marks(fixed: Any, moving: Any, mask: Any, k: int) -> np.ndarray:
    """Indicator of each class of `mask`, on the grid of `fixed`."""
    import SimpleITK  # noqa: PLC0415  (optional, and not for the tables)

    itk: Any = SimpleITK
    target, source = itk.GetImageFromArray(fixed), itk.GetImageFromArray(moving)
    affine = itk.CenteredTransformInitializer(
        target, source, itk.AffineTransform(3), itk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method = itk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetInterpolator(itk.sitkLinear)
    method.SetInitialTransform(affine, inPlace=True)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 40)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2])
    method.SetSmoothingSigmasPerLevel([1])
    method.Execute(target, source)
    near = itk.Resample(source, target, affine, itk.sitkLinear, 0.0)
    demons = itk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(30)
    demons.SetStandardDeviations(1.5)
    field = demons.Execute(target, itk.HistogramMatching(near, target, 128, 12))
    moves = itk.DisplacementFieldTransform(itk.Cast(field, itk.sitkVectorFloat64))
    both = itk.CompositeTransform([affine, moves])
    marks = [itk.GetImageFromArray((mask == c).astype(np.float32)) for c in range(k)]
    return np.stack(
        [
            itk.GetArrayFromImage(itk.Resample(each, target, both, itk.sitkLinear, 0.0))
            for each in marks
        ]
    )


def gather(source: Path, kept: Path) -> None:
    """Keep the rows of a run."""
    write_text(kept, (source / "rows.jsonl").read_text())


def table(rows: list[dict[str, Any]]) -> str:
    """Learners by numbers of volumes."""
    cells = {(row["learner"], row["shot"]): _cell(row) for row in rows}
    names = [name for name in LEARNERS if any(name == learner for learner, _ in cells)]
    lines = [[name, *(cells.get((name, shot), "") for shot in SHOTS)] for name in names]
    made = sorted({f"{row['hardware']}, commit `{row['commit']}`" for row in rows})
    heads = ["learner", *(f"{shot} volume(s)" for shot in SHOTS)]
    return f"{markdown(heads, lines)}\n{'; '.join(made)}\n"


def _cell(row: dict[str, Any]) -> str:
    dice = mean_interval(np.array(row["scores"]["Dice"]))
    mm, error = (np.mean(row["scores"][name]) for name in (DISTANCE, "volume error"))
    half = 100 * (dice.high - dice.low) / 2
    seconds = " + ".join(f"{each:.1f}" for each in row["seconds"])
    return f"{100 * dice.mean:.1f} ± {half:.1f}, {mm:.2f} mm, {100 * error:.0f} % ({seconds} s)"


if __name__ == "__main__":
    main()
