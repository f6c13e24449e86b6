"""What pruning, distillation and int8 cost and bring, on five real sets, at 64 pixels.

    python experiments/compressing.py --out runs/compressing
    python experiments/compressing.py quantize --out runs/quantizing

The original is a conv4 of width 64 that was trained on up to 150 images of half of the patients
(images, where none are known); every variant learns from the same images and from the original's
answers, and all are judged on up to 200 images of the other half. Intervals are by bootstrap over
these patients, and the differences to the original are paired. Time is processor time of an answer
to one image on one thread, all variants in turn; memory is that of Linux. One seed.
Every predictor is kept in --out, and not made again.

`quantize`: a conv4 that was fine-tuned on 100 images of three sets, quantized with ranges from the
100 images and from 4 of them; judged on 200 images of other patients, differences paired.
"""

import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

import medshot
from medshot.core.atomic import write_text
from medshot.core.predictor import freeze_copy, unfreeze_copy
from medshot.data.dataset import Dataset
from medshot.data.split import patient_folds
from medshot.evaluation.comparison import compared
from medshot.evaluation.cross_validation import answered
from medshot.evaluation.protocols import data_root
from medshot.stages.compress.cost import costs
from medshot.stages.compress.distill import distill
from medshot.stages.compress.imitation import views
from medshot.stages.compress.prune import prune
from medshot.stages.compress.quantize import quantize
from medshot.training.trainer import batch_of, descend
from results import commit, hardware, made_on, markdown, parse, percent

METRIC = "balanced accuracy"
SETS = ("brain_mri_tumor", "covid_ct", "covid_cxr", "lung_ct_iqoth", "lung_histology")
SETS_OF_INT8 = ("pneumonia_mnist", "brain_mri_tumor", "covid_ct")
ORIGINAL = "original"
TAUGHT, JUDGED = 150, 200  # images
TAUGHT_INT8, FEW = 100, 4  # images to learn from; of them, to find ranges by
STEPS = {"train": 150, "prune": 300, "distil": 500}

Made = Mapping[str, medshot.Predictor]
# A variant is made of those before it: a further one is one more line.
VARIANTS: dict[str, Callable[[Made, Dataset], medshot.Predictor]] = {
    "prune 0.5": lambda made, data: _pruned(made[ORIGINAL], made[ORIGINAL], data, 0.5),
    "prune 0.75": lambda made, data: _pruned(made[ORIGINAL], made[ORIGINAL], data, 0.75),
    "distil small": lambda made, data: distill(
        made[ORIGINAL], data, "small", steps=STEPS["distil"]
    ),
    "distil small, prune 0.5": lambda made, data: _pruned(
        made["distil small"], made[ORIGINAL], data, 0.5
    ),
    "int8": lambda made, data: quantize(made[ORIGINAL], data.examples()),
    "prune 0.5, int8": lambda made, data: quantize(made["prune 0.5"], data.examples()),
    "distil small, int8": lambda made, data: quantize(made["distil small"], data.examples()),
    "distil small, prune 0.5, int8": lambda made, data: quantize(
        made["distil small, prune 0.5"], data.examples()
    ),
}


def main() -> None:
    options = parse(__doc__, "compress", "quantize")
    names, measure = SETS, compressed
    if options.part == "quantize":
        torch.set_num_threads(1)
        names, measure = SETS_OF_INT8, quantized
    for name in options.only or names:
        file = options.out / f"{name}.json"
        if not file.exists():
            write_text(file, json.dumps(measure(name, options.out), indent=1) + "\n")
            print(name, "done", flush=True)
        _collect(options.out)


def compressed(name: str, out: Path) -> dict[str, Any]:
    """Scores and costs of the original and its variants on one set; they are kept in `out`."""
    taught, asked = _halves(medshot.load(data_root() / f"cls_{name}"))
    made: dict[str, medshot.Predictor] = {}
    for variant, make in {ORIGINAL: lambda _, data: _trained(data), **VARIANTS}.items():
        kept = out / name / variant.replace(" ", "_").replace(",", "")
        if not kept.exists():
            make(made, taught).save(kept)
        made[variant] = medshot.load_predictor(kept)
        print(name, variant, flush=True)
    return {
        "set": name,
        "taught": taught.about(),
        "judged": asked.about(),
        "scores": compared(made, asked).gains(),
        "costs": {n: vars(c) for n, c in costs(made, rounds=200).items()},
    }


def quantized(name: str, _: Path) -> dict[str, Any]:
    """Scores of one set before and after, by images for ranges, and bytes."""
    dataset = medshot.load(data_root() / f"cls_{name}")
    rng = torch.Generator().manual_seed(0)
    parts = zip(patient_folds(dataset, 2)[0], (TAUGHT_INT8, JUDGED), strict=True)
    rest, held = (
        dataset.subset(part[torch.randperm(len(part), generator=rng)[:most]])
        for part, most in parts
    )
    torch.manual_seed(0)
    encoder = medshot.encoder("conv4", size=64, width=64)
    whole = medshot.build("finetune", encoder=encoder, steps=40, batch=25).adapt(rest)
    fitted = held.at(3, 64)
    before = answered(whole, fitted)
    rows: dict[str, Any] = {"float": vars(before.interval(METRIC))}
    sizes = [_bytes(whole)]
    for n in (TAUGHT_INT8, FEW):
        small = quantize(whole, rest.at(3, 64).examples(slice(n)))
        after = answered(small, fitted)
        gain = vars(after.minus(before, METRIC))
        rows[f"int8, {n} images"] = {**vars(after.interval(METRIC)), "difference": gain}
        sizes.append(_bytes(small))
    about = {"set": dataset.name, "test": len(held), "patients": held.has_patients}
    return about | {"bytes": sizes[:2], "rows": rows}


def _bytes(predictor: medshot.Predictor) -> int:
    return sum(tensor.nbytes for tensor in predictor.state_dict().values())


def _halves(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Images to learn from, and others of other patients to be judged on."""
    first, second = medshot.split_patients(dataset, 0.5)
    return _some(first, TAUGHT), _some(second, JUDGED)


def _some(dataset: Dataset, most: int) -> Dataset:
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    return dataset.subset(order[:most].sort().values)


def _trained(data: Dataset) -> medshot.Predictor:
    """A conv4 and a linear head, by Adam on the labels of mirrored and moved images."""
    torch.manual_seed(0)
    learner = medshot.build("finetune", encoder=medshot.encoder("conv4", size=64), steps=0)
    predictor = learner.adapt(data)
    model, shown, task = unfreeze_copy(predictor), data.examples(), data.task

    def loss(step: int) -> torch.Tensor:
        some = batch_of(step, len(shown), 32)
        return task.loss(model(views(shown.x[some], step, mixed=False)), shown.y[some])

    descend(model, loss, steps=STEPS["train"], lr=1e-3)
    done = predictor.known_card().after("train", steps=STEPS["train"])
    return freeze_copy(model).with_card(done)


def _pruned(
    predictor: medshot.Predictor, teacher: medshot.Predictor, data: Dataset, share: float
) -> medshot.Predictor:
    return prune(predictor, data, share, teacher=teacher, steps=STEPS["prune"])


def _collect(out: Path) -> None:
    """One file of all that has been measured so far."""
    rows: list[dict[str, Any]] = [json.loads(f.read_text()) for f in sorted(out.glob("*.json"))]
    rows = [row for row in rows if "set" in row]
    about = {"hardware": hardware(), "commit": commit(), "steps": STEPS}
    write_text(out / "result.json", json.dumps({**about, "rows": rows}, indent=1) + "\n")


SMALLER, FASTER, POINTS = 8, 4, 0.5  # what is aimed at, on the median set


def table(found: dict[str, Any]) -> str:
    """Every set and variant, and the medians over the sets."""
    steps = ", ".join(f"{name} {n}" for name, n in found["steps"].items())
    about = f"Steps: {steps}. {made_on(found)}"
    return f"{_by_set(found['rows'])}\n{_medians(found['rows'])}\n{about}\n"


def _by_set(found: list[dict[str, Any]]) -> str:
    """A row a set and variant."""
    head = ("set", "variant", "MB", "ms", "memory MB", f"{METRIC} %", "difference, points")
    rows = []
    for row in found:
        for name, cost in row["costs"].items():
            scores = row["scores"][name]
            minus = scores.get("difference")
            cells = [f"`{row['set']}`", name, f"{cost['megabytes']:.3f}"]
            cells += [f"{cost['milliseconds']:.2f}", f"{cost['memory']:.1f}"]
            rows.append([*cells, percent(scores[METRIC]), percent(minus) if minus else ""])
    return markdown(head, rows)


def _medians(found: list[dict[str, Any]]) -> str:
    """What each variant gains and loses on the median set, and whether that is enough."""
    first, *others = found[0]["costs"]
    rows = []
    for name in others:
        size, time = (
            statistics.median(r["costs"][first][key] / r["costs"][name][key] for r in found)
            for key in ("megabytes", "milliseconds")
        )
        points = statistics.median(100 * r["scores"][name]["difference"]["mean"] for r in found)
        met = size >= SMALLER and time >= FASTER and points >= -POINTS
        verdict = "met" if met else "missed"
        rows.append([name, f"{size:.1f}", f"{time:.1f}", f"{points:+.1f}", verdict])
    said = f"Medians over {len(found)} sets (the target: {SMALLER} times smaller, {FASTER} times "
    said += f"faster, at most {POINTS} points lost):\n\n"
    head = ("variant", "times smaller", "times faster", "points, median set", "target")
    return said + markdown(head, rows)


def table_of_int8(found: dict[str, Any]) -> str:
    """A row a set: before, after, and the paired difference, in percent."""
    names = list(found["rows"][0]["rows"])
    rows = []
    for one in found["rows"]:
        cells = [_cell(one["rows"][name]) for name in names]
        size = " → ".join(f"{n / 1e6:.2f}" for n in one["bytes"])
        rows.append([f"`{one['set']}` ({one['test']} images)", *cells, size])
    return f"{markdown(['set', *names, 'MB'], rows)}\n{made_on(found)}\n"


def _cell(row: dict[str, Any]) -> str:
    minus = row.get("difference")
    return percent(row) + (f", difference {percent(minus, '+')}" if minus else "")


if __name__ == "__main__":
    main()
