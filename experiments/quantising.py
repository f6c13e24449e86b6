"""Accuracy cost of int8: a network learned from 100 images, before and after, on new patients.

    python experiments/quantising.py --out runs/quantising [--only cls_covid_ct]

Conv4 at 64 pixels, fine-tuned; quantised with ranges from the 100 images, and from 4 of them;
judged on 200 images of other patients, differences paired. Goes on where it stopped.
"""

import json
from pathlib import Path
from typing import Any

import torch

import medshot
from medshot.core.atomic import write_text
from medshot.core.predictor import Predictor
from medshot.data.dataset import Dataset
from medshot.data.split import patient_folds
from medshot.evaluation.cross_validation import answered
from medshot.evaluation.protocols import data_root
from results import arguments, commit, hardware, made_on, markdown, percent

SETS = ("cls_pneumonia_mnist", "cls_brain_mri_tumor", "cls_covid_ct")
SUPPORT, TEST, FEW = 100, 200, 4
METRIC = "balanced accuracy"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--only", nargs="*", default=SETS, help="only these sets")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.only:
        file = options.out / f"{name}.json"
        if not file.exists():
            write_text(file, json.dumps(_measured(name), indent=1) + "\n")
        print(name, json.loads(file.read_text())["rows"], flush=True)
    rows = [json.loads(f.read_text()) for f in sorted(options.out.glob("cls_*.json"))]
    about = {name: rows[0][name] for name in ("hardware", "commit")}
    write_text(options.out / "result.json", json.dumps({**about, "rows": rows}, indent=1) + "\n")


def _measured(name: str) -> dict[str, Any]:
    rest, held = _halves(medshot.load(data_root() / name))
    torch.manual_seed(0)
    encoder = medshot.encoder("conv4", size=64, width=64)
    learner = medshot.build("finetune", encoder=encoder, steps=40, batch=25)
    whole = learner.adapt(rest)
    fitted = held.at(3, 64)
    small = {n: medshot.quantize(whole, rest.at(3, 64).examples(slice(n))) for n in (SUPPORT, FEW)}
    before = answered(whole, fitted)
    rows = {"float": vars(before.interval(METRIC))}
    for n, predictor in small.items():
        after = answered(predictor, fitted)
        gain = vars(after.minus(before, METRIC))
        rows[f"int8, {n} images"] = {**vars(after.interval(METRIC)), "difference": gain}
    sizes = [_bytes(predictor) for predictor in (whole, small[SUPPORT])]
    about = {"hardware": hardware(), "commit": commit(), "patients": held.has_patients}
    return {"set": name, "test": len(held), "bytes": sizes, "rows": rows, **about}


def _halves(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """100 images to learn from, and 200 of other patients, in an order drawn once."""
    rng = torch.Generator().manual_seed(0)
    learned, held = patient_folds(dataset, 2)[0]
    parts = zip((learned, held), (SUPPORT, TEST), strict=True)
    few = (part[torch.randperm(len(part), generator=rng)[:most]] for part, most in parts)
    first, second = few
    return dataset.subset(first), dataset.subset(second)


def _bytes(predictor: Predictor) -> int:
    return sum(tensor.nbytes for tensor in predictor.state_dict().values())


def table(found: dict[str, Any]) -> str:
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
