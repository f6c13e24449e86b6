"""Clean and robust accuracy against epsilon, before and after hardening; corruptions; querying.

    python experiments/hardening.py --out runs/hardening

On three real sets a 4-layer encoder (width 32, 32 x 32 pixels, grey) is fine-tuned on 20 images a
class, then hardened against FGSM and against PGD within 4/255 on the same images, and judged on up
to 40 images a class of other patients (of other images, where no patients are known): as they are,
under PGD with 10 steps within 1, 2, 4 and 8/255, and corrupted in severity 3. At 8/255 also with
FGSM, 40 steps of PGD and the square attack. Then a prototypical network is meta-trained on two sets
with and without adversarial querying (8/255), and the episodes of a third are attacked. Intervals
are over patients, or images; of episodes, over episodes. One seed. Each part is kept as it is done.
"""

import json
import time
from pathlib import Path
from typing import Any

import torch

import medshot
from medshot.core.atomic import write_text
from medshot.core.predictor import Predictor
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.data.load import load_one
from medshot.evaluation.cross_validation import answered
from medshot.evaluation.protocols import data_root
from medshot.evaluation.statistics import Interval, mean_interval
from medshot.stages.robustness.attacks import PGD
from medshot.stages.robustness.corruption import corruptions
from medshot.stages.robustness.evaluate import Point, curve, robustness, signs
from medshot.stages.robustness.harden import AdversarialQuerying, harden
from medshot.stages.robustness.threat_model import ThreatModel
from results import commit, hardware, made_on, markdown, parse, percent

SETS = ("cls_pneumonia_mnist", "cls_covid_ct", "cls_brain_mri_tumor")
LEVELS = (1, 2, 4, 8)  # of 255
AGAINST = 4 / 255
FORM: dict[str, Any] = {"channels": 1, "size": 32}
SHOT, TEST, WIDTH, STEPS = 20, 40, 32, 150
EPISODES, QUERYING, WITHIN = 30, 200, 8 / 255  # of the meta-trained ones


def main() -> None:
    options = parse(__doc__, steps=STEPS)
    about = {"hardware": hardware(), "commit": commit(), "steps": options.steps}
    for name in options.only or SETS:
        _once(options.out / f"{name}.json", lambda name=name: _of_set(name, options.steps))
    if not options.only:
        _once(options.out / "querying.json", _querying)
    parts = {f.stem: json.loads(f.read_text()) for f in sorted(options.out.glob("*.json"))}
    parts.pop("result", None)
    write_text(options.out / "result.json", json.dumps({**about, "parts": parts}, indent=1) + "\n")


def _once(file: Path, make: Any) -> None:
    if not file.exists():
        started = time.process_time()
        found = make()
        found["cpu_seconds"] = round(time.process_time() - started)
        write_text(file, json.dumps(found, indent=1) + "\n")
        print(file.stem, found["cpu_seconds"], "CPU seconds", flush=True)


def _of_set(name: str, steps: int) -> dict[str, Any]:
    support, test = _parted(load_one(data_root() / name, **FORM))
    torch.manual_seed(0)
    encoder = medshot.encoder("conv4", width=WIDTH, **FORM)
    plain = medshot.build("finetune", encoder=encoder).adapt(support)
    models = {"as adapted": plain}
    for attack in ("fgsm", "pgd"):
        models[f"hardened, {attack.upper()}"] = harden(
            plain, support, attack=attack, epsilon=AGAINST, steps=steps
        )
    rows = {label: _measured(model, test, models["as adapted"]) for label, model in models.items()}
    return {"images": support.counts(), "judged on": test.counts(), "models": rows}


def _measured(model: Predictor, test: Dataset, first: Predictor) -> dict[str, Any]:
    budgets = [ThreatModel(level / 255) for level in LEVELS]
    found = robustness(model, test, budgets[:-1], checks=False)
    checked = robustness(model, test, budgets[-1:], queries=100)
    worse = corruptions(model, test, severities=(3,))
    metric = found.clean.task.leading
    return {
        "robustness": found.to_json(),
        "checked": checked.to_json(),
        "signs": signs(checked),
        "corruptions": {family: c.to_json()[metric] for family, c in worse.items()},
        "clean, minus first": vars(found.clean.minus(answered(first, test), metric)),
    }


def _parted(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Images a class to learn from, and others, of other patients, to judge on."""
    support = _few(dataset, SHOT, seed=0)
    free = torch.ones(len(dataset), dtype=torch.bool)
    known = dataset.groups[support]
    free &= ~torch.isin(dataset.groups, known[known >= 0])
    free[support] = False
    rest = dataset.subset(free.nonzero().flatten())
    return dataset.subset(support), rest.subset(_few(rest, TEST, seed=1))


def _few(dataset: Dataset, count: int, seed: int) -> torch.Tensor:
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    classes = range(len(dataset.labels))
    return torch.cat([order[dataset.y[order] == c][:count] for c in classes])


def _querying() -> dict[str, Any]:
    *taught, judged = (load_one(data_root() / name, **FORM) for name in SETS)
    drawn: dict[str, Any] = {"way": 2, "shot": 5, "query": 5}
    rows: dict[str, Any] = {}
    for label, terms in (("none", []), ("adversarial querying", [AdversarialQuerying(WITHIN)])):
        torch.manual_seed(0)
        encoder = medshot.encoder("conv4", width=WIDTH, **FORM)
        learner = medshot.build("prototypical", encoder=encoder)
        run = medshot.train(learner, taught, steps=QUERYING, val_episodes=10, terms=terms, **drawn)
        source = EpisodeSampler(judged, **drawn, seed=1234)
        scores: dict[str, list[float]] = {}
        for i in range(EPISODES):
            episode = source.episode(i)
            model = run.learner.adapt(episode.support, episode.task)
            for level in (0, *LEVELS):
                attack = PGD(ThreatModel(level / 255)) if level else None
                x = attack(model, episode.task, episode.query) if attack else episode.query.x
                right = (model(x).argmax(1) == episode.query.y).double().mean().item()
                scores.setdefault(str(level), []).append(right)
        rows[label] = {n: vars(mean_interval(torch.tensor(s).numpy())) for n, s in scores.items()}
    return {"judged on": judged.name, "within": WITHIN, "steps": QUERYING, "learners": rows}


METRIC = "balanced accuracy"
FAMILIES = ("digital", "noise", "blur", "light", "modality")


def table(found: dict[str, Any]) -> str:
    """Under attacks, under corruptions, querying, and the curves that `draw` makes."""
    parts = _sets_of(found)
    tables = [_attacked(parts), _corrupted(parts)]
    if querying := found["parts"].get("querying"):
        tables.append(_queried(querying))
    tables += [f"![{name}: {METRIC} by epsilon](harden_{name}.svg)\n" for name in parts]
    return "\n".join([*tables, made_on(found)]) + "\n"


def draw(found: dict[str, Any], docs: Path) -> None:
    """A curve a set: accuracy against epsilon, a line a model."""
    for name, part in _sets_of(found).items():
        lines = {label: _points(row) for label, row in part["models"].items()}
        file = docs / "stages" / f"harden_{name}.svg"
        write_text(file, curve(lines, METRIC, f"{name}, PGD-10"))


def _sets_of(found: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in found["parts"].items() if name != "querying"}


def _attacked(parts: dict[str, Any]) -> str:
    """Clean, PGD at each epsilon, and the checks at the largest: a row a model."""
    head = ["set", "model", "clean", "change", "PGD-10: 1/255", "2/255", "4/255", "8/255"]
    head += ["8/255: FGSM", "PGD-40", "square-100", "signs of masking"]
    rows = []
    for name, part in parts.items():
        for label, row in part["models"].items():
            scores = [vars(score) for _, _, score in _points(row)]
            scores += [row["checked"]["attacked"][i][METRIC] for i in (0, 2, 3)]
            clean, *attacked = (percent(score, digits=0) for score in scores)
            changed = label != "as adapted"
            change = percent(row["clean, minus first"], digits=0) if changed else ""
            signs_seen = len(row["signs"]) or "none"
            rows.append([f"`{name}`", label, clean, change, *attacked, signs_seen])
    return markdown(head, rows)


def _corrupted(parts: dict[str, Any]) -> str:
    """Severity 3: a row a model, a family a column."""
    rows = [
        [f"`{name}`", label, *(percent(row["corruptions"][f], digits=0) for f in FAMILIES)]
        for name, part in parts.items()
        for label, row in part["models"].items()
    ]
    return markdown(["set", "model", *FAMILIES], rows)


def _queried(part: dict[str, Any]) -> str:
    """Accuracy of meta-trained prototypes under PGD: a row a way of training."""
    levels = list(next(iter(part["learners"].values())))
    head = [f"meta-trained, judged on `{part['judged on']}`", "clean"]
    head += [f"PGD-10: {level}/255" for level in levels[1:]]
    rows = [
        [label, *(percent(row[level], digits=0) for level in levels)]
        for label, row in part["learners"].items()
    ]
    return markdown(head, rows)


def _points(row: dict[str, Any]) -> list[Point]:
    """Clean, and PGD with the usual steps at each epsilon."""
    usual = [*row["robustness"]["attacked"], row["checked"]["attacked"][1]]
    found: list[Point] = [("0", 0.0, Interval(**row["robustness"]["clean"][METRIC]))]
    for attacked in usual:
        said = attacked["epsilon"]
        found.append((said, int(said.partition("/")[0]) / 255, Interval(**attacked[METRIC])))
    return found


if __name__ == "__main__":
    main()
