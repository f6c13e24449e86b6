"""Grades, findings and numbers on the packaged encoder: one row each, beside ridge on raw pixels.

    python experiments/other_targets.py

Grades: `cls_knee_oa`, Kellgren-Lawrence 0 to 4. Findings: `cls_fundus_dr_mx`, retinopathy and
macular edema (column `dme`). Numbers: `seg_fetal_head_hc18`, the share of the image that the head
covers. 60 episodes of 40 support images and 40 others, drawn at random, patients apart where they
are known.
Prints the rows of the table in docs/results.md.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import medshot
from medshot.core.episode import Examples
from medshot.core.task import Task
from medshot.data.io.image import stored
from medshot.data.transforms import ImagePreprocessing, unit
from medshot.evaluation.protocols import data_root
from medshot.evaluation.statistics import mean_interval, paired
from medshot.learners.closed_form.stacked_probe import StackedProbe
from medshot.tasks import MultiLabel, Ordinal, Regression
from results import arguments, commit, hardware

SUPPORT, QUERY, EPISODES = 40, 40, 60
Target = Callable[[Path, dict[str, str]], float | list[float]]


def main() -> None:
    arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    graded = lambda _, row: float(row["label"].removeprefix("kl"))  # noqa: E731
    covered = lambda folder, row: float((stored(folder / row["mask"]) > 0).mean())  # noqa: E731
    print("| targets | metric | ridge on raw pixels | stacked-probe | difference |")
    print("|---|---|---|---|---|")
    row("cls_knee_oa", graded, Ordinal(4), "grades")
    row("cls_fundus_dr_mx", _findings, MultiLabel(2), "findings")
    row("seg_fetal_head_hc18", covered, Regression(1), "a number")
    print(
        f"\n{EPISODES} episodes of {SUPPORT} and {QUERY} images; {hardware()}; commit `{commit()}`."
    )


def row(name: str, target: Target, task: Task, kind: str) -> None:
    """Both learners on the same episodes of one set."""
    folder = data_root() / name
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    y = torch.tensor([target(folder, r) for r in rows])
    y = y.long() if isinstance(task, Ordinal) else y if y.ndim == 2 else y[:, None]
    codes = {r.get("patient") or str(i) for i, r in enumerate(rows)}
    number = {code: i for i, code in enumerate(sorted(codes))}
    patients = np.array([number[r.get("patient") or str(i)] for i, r in enumerate(rows)])
    encoder, pixels = medshot.encoder("mobilenet"), medshot.encoder("pixels", size=64, reduce=2)
    head, baseline = StackedProbe(encoder), medshot.build("ridge", encoder=nn.Identity())
    plain, shown, raw = [], [], []
    with torch.no_grad():
        for r in rows:
            image = _image(folder / r["path"], 128)
            plain.append(encoder(image))
            shown.append(head.support_features(image))
            raw.append(pixels(_image(folder / r["path"], 64)))
    features = {"head": (torch.cat(shown), torch.cat(plain)), "pixels": (torch.cat(raw),) * 2}
    without = StackedProbe(nn.Identity())
    without.sizes, without.known = head.sizes, head.known
    learners = {"head": without, "pixels": baseline}
    scores: dict[str, list[float]] = {each: [] for each in learners}
    for i in range(EPISODES):
        order = np.random.default_rng(i).permutation(len(rows))
        support = order[:SUPPORT]
        query = [j for j in order[SUPPORT:] if patients[j] not in patients[support]][:QUERY]
        fitted = task.fitted(y[support])
        for each, learner in learners.items():
            seen, asked = features[each]
            examples = Examples(seen[support], y[support], torch.from_numpy(patients[support]))
            output = learner.learn(examples, fitted)(asked[query]).detach().double()
            evidence = fitted.evidence(fitted.decode(output).numpy(), y[query].numpy())
            scores[each].append(fitted.metrics[fitted.leading](*evidence))
    ours, theirs = (np.array(scores[each]) for each in ("head", "pixels"))
    said = [mean_interval(theirs), mean_interval(ours), paired(ours, theirs)]
    cells = " | ".join(f"{s.mean:.3f} [{s.low:.3f}, {s.high:.3f}]" for s in said)
    print(f"| {kind}: `{name}` | {task.leading} | {cells} |", flush=True)


def _findings(_: Path, row: dict[str, str]) -> list[float]:
    return [float(row["label"] != "no_dr"), float(row["dme"] not in ("", "0"))]


def _image(path: Path, size: int) -> Tensor:
    return unit(torch.from_numpy(ImagePreprocessing(size=size).pixels(path)))[None]


if __name__ == "__main__":
    main()
