"""What `auto` expects of its candidates for masks, from sets that it has not seen.

    python experiments/masks_prior.py --out runs/masks_prior
    python experiments/masks_prior.py package --out runs/masks_prior
    python experiments/tables.py masks_prior --from runs/masks_prior

The first command scores every candidate, and the mean of each two, on episodes of each set: Dice in
two-fold cross-validation on the support, as `auto` sees it, and on 8 queries, patients apart. It
goes on where it was killed. `package` writes the prior: for each number of images, the mean and
standard deviation over sets of Dice minus that of the first candidate. The table compares ways
to choose, the prior of each set made of the others. The packaged refiner of `stacked-masks` was
trained on none of these sets.
"""

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import medshot
from medshot.core.atomic import write_text
from medshot.core.episode import Episode, Examples
from medshot.core.learner import Learner
from medshot.data.episodes import ImageEpisodes
from medshot.selection.auto import at_size, difference_variance, posterior_mean
from medshot.selection.choice import mean_of, through
from medshot.selection.cross_validator import CrossValidator
from medshot.selection.space import PRIORS
from results import arguments, commit, hardware, markdown
from segmentation import real_set

SETS = ("foot_ulcer", "polyp_kvasir", "nerve_us", "drive", "gland_glas", "liver_ct")
SHOTS, EPISODES, QUERIES = (2, 8), 1, 8
CANDIDATES = {
    "stacked-masks on mobilenet": ("stacked-masks", "mobilenet"),
    "linear-probe on filters": ("linear-probe", "filters"),
    "forest on filters": ("forest", "filters"),
    "nearest-centroid on filters": ("nearest-centroid", "filters"),
    "mean-mask on filters": ("mean-mask", "filters"),
}
FIRST = next(iter(CANDIDATES))
MEAN = "mean of the best two"
LEAST = 0.02  # least standard deviation of a prior: so many sets tell it no better


def main() -> None:
    parser = arguments(__doc__, "run", "package")
    parser.add_argument("--out", type=Path, required=True, help="folder of the rows")
    parser.add_argument("--only", nargs="*", default=SETS, help="only these sets")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.part == "package":
        package(options.out)
    else:
        run(options)


def run(options: argparse.Namespace) -> None:
    """Every episode that is missing."""
    for name in options.only:
        file = options.out / f"{name}.json"
        if file.exists():
            continue
        data, rows = real_set(name), []
        for shot in SHOTS:
            source = ImageEpisodes(data, shot=shot, query=QUERIES, seed=11)
            for i in range(EPISODES):
                row = {"shot": shot, "episode": i, **scored(source.episode(i))}
                rows.append(row)
                print(name, shot, i, row["query"], flush=True)
        about = {"set": name, "hardware": hardware(), "commit": commit(), "rows": rows}
        write_text(file, json.dumps(about) + "\n")


@torch.no_grad()
def scored(episode: Episode) -> dict[str, Any]:
    """Dice of each candidate and pair: in cross-validation, and on the queries."""
    support, task = episode.support, episode.task
    learners = built()

    def images(encoder: Any) -> torch.Tensor:
        return at_size(support.x, getattr(encoder, "size", None))

    bench = CrossValidator(images, support.y, support.groups, task, 2)
    tried = {
        name: through(bench, lambda made=made: made, keep=True) for name, made in learners.items()
    }
    answers = {name: answered(made, support, episode) for name, made in learners.items()}
    for one, other in itertools.combinations(learners, 2):
        both = mean_of(bench, tried[one], tried[other])
        tried[f"{one} + {other}"] = both or tried[one]
        answers[f"{one} + {other}"] = (answers[one] + answers[other]) / 2
    truth, dice = episode.query.y.numpy(), task.metrics[task.leading]
    return {
        "validated": {n: round(each.scores[task.leading], 4) for n, each in tried.items()},
        "variance": {
            n: difference_variance(bench, each, tried[FIRST]) for n, each in tried.items()
        },
        "seconds": {n: round(tried[n].seconds, 2) for n in learners},
        "query": {
            n: round(dice(*task.metric_inputs(each, truth)), 4) for n, each in answers.items()
        },
    }


def built() -> dict[str, Learner]:
    """The candidates, on shared encoders."""
    encoders = {name: medshot.encoder(name) for _, name in CANDIDATES.values()}
    return {n: medshot.build(made, encoder=encoders[on]) for n, (made, on) in CANDIDATES.items()}


def answered(learner: Learner, support: Examples, episode: Episode) -> np.ndarray:
    """Probabilities on the queries."""
    predictor = learner.learn(support, episode.task)
    return episode.task.decode(predictor.predict_batches(episode.query.x).double()).numpy()


def read(folder: Path) -> list[dict[str, Any]]:
    """The rows of every set."""
    files = [json.loads((folder / f"{name}.json").read_text()) for name in SETS]
    rows = [{**about, **row} for about in files for row in about.pop("rows")]
    return [row for row in rows if row["shot"] in SHOTS]


def gather(source: Path, kept: Path) -> None:
    """Keep the rows of every episode as one line each."""
    write_text(kept, "".join(json.dumps(row) + "\n" for row in read(source)))


def read_rows(kept: Path) -> list[dict[str, Any]]:
    """The lines that are kept."""
    return [json.loads(line) for line in kept.read_text().splitlines()]


def prior_of(rows: list[dict[str, Any]], shot: int) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation over sets of Dice minus that of the first."""
    found = {}
    for name in (*CANDIDATES, MEAN):
        minus: dict[str, list[float]] = {}
        for row in rows:
            if row["shot"] == shot:
                score = row["query"][best_two(row) if name == MEAN else name]
                minus.setdefault(row["set"], []).append(score - row["query"][FIRST])
        each = np.array([np.mean(values) for values in minus.values()])
        spread = 0.0 if name == FIRST else max(float(each.std(ddof=1)), LEAST)
        found[name] = (round(float(np.mean(each)), 3), round(spread, 3))
    return found


def best_two(row: dict[str, Any], prior: dict[str, tuple[float, float]] | None = None) -> str:
    """The two candidates that are expected to be best, with a prior or without."""
    order = sorted(CANDIDATES, key=lambda name: -expected(row, name, prior))
    pair = sorted(order[:2], key=list(CANDIDATES).index)
    return " + ".join(pair)


def expected(
    row: dict[str, Any], name: str, prior: dict[str, tuple[float, float]] | None, of: str = ""
) -> float:
    """Dice minus that of the first: as cross-validated, or its posterior mean."""
    found = row["validated"][name] - row["validated"][FIRST]
    if prior is None or name == FIRST:
        return found
    return posterior_mean(*prior[of or name], found, row["variance"][name])


def ways(rows: list[dict[str, Any]]) -> dict[str, dict[tuple[str, int], list[float]]]:
    """Dice on the queries of each way to choose, by set and number of images."""
    found: dict[str, dict[tuple[str, int], list[float]]] = {}
    for row in rows:
        key, others = (row["set"], row["shot"]), [r for r in rows if r["set"] != row["set"]]
        prior = prior_of(others, row["shot"])
        alone = max(CANDIDATES, key=lambda name: expected(row, name, None))
        weighed = max(CANDIDATES, key=lambda name: expected(row, name, prior))
        pair, plain = best_two(row, prior), best_two(row)
        both = expected(row, pair, prior, MEAN) > expected(row, weighed, prior)
        taken = {
            **{name: name for name in CANDIDATES},
            "best in cross-validation": alone,
            "best, or the mean of the best two": max(
                alone, plain, key=lambda name: row["validated"][name]
            ),
            "with the prior": weighed,
            "with the prior, or the mean of the best two": pair if both else weighed,
            "the best afterwards": max(CANDIDATES, key=row["query"].__getitem__),
        }
        for way, name in taken.items():
            found.setdefault(way, {}).setdefault(key, []).append(row["query"][name])
    return found


def package(folder: Path) -> None:
    """Write the prior into the package."""
    rows = read(folder)
    priors = {str(shot): prior_of(rows, shot) for shot in SHOTS}
    made = {
        "made by": "python experiments/masks_prior.py package",
        "measured by": "python experiments/masks_prior.py",
        "commits": sorted({row["commit"] for row in rows}),
        "sets": list(SETS),
        "metric": "Dice minus that of the first: mean and standard deviation over sets",
        "kinds": {"segmentation": priors},
    }
    write_text(PRIORS, json.dumps(made, indent=1) + "\n")


def table(rows: list[dict[str, Any]]) -> str:
    """Mean Dice over sets of each way to choose, with the interval over sets of minus the first."""
    found = ways(rows)
    lines = []
    for way, scores in found.items():
        cells = [way]
        for shot in SHOTS:
            mine = np.array([np.mean(scores[name, shot]) for name in SETS])
            first = np.array([np.mean(found[FIRST][name, shot]) for name in SETS])
            minus = 100 * (mine - first)
            half = 196 / 100 * minus.std(ddof=1) / len(minus) ** 0.5
            told = "" if way == FIRST else f" ({minus.mean():+.1f} ± {half:.1f})"
            cells.append(f"{100 * mine.mean():.1f}{told}")
        lines.append(cells)
    head = ["way", *(f"{shot} images" for shot in SHOTS)]
    made = sorted({f"{row['hardware']}, commit `{row['commit']}`" for row in rows})
    return f"{markdown(head, lines)}\n{'; '.join(made)}\n"


if __name__ == "__main__":
    main()
