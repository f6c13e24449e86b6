"""Masks from few images: the network that combines the members of `stacked-masks`, and its rivals.

    python experiments/stacked_masks.py --out runs/masks
    python experiments/stacked_masks.py package --out runs/masks
    python experiments/tables.py stacked_masks --from runs/masks

The first command does what is missing of the following, in this order, and goes on where it was
killed. `--only` names some of the sets, `--learners` some of the rivals.

1. Lessons: episodes of a set with 1 to 16 support images, turned and mirrored, and the scores of
   the members on their queries, which need no training. Beside the sets: phantoms of all kinds,
   phantoms of vessels and membranes, and the borders of real masks in place of these.
2. Training of the refiner on lessons, three seeds. "open" knows the sets whose license is open
   (`OPEN`) and phantoms: what the package has. For one of these sets, another is trained without
   it. "all" knows all sets but those of the judged one's group (`GROUPS`).
3. Judging: 4 episodes of 12 queries a set (2 for the U-Net and the forest), at 1, 4 and 16 images,
   patients apart: Dice, mean distance of borders (pixels at 128 x 128), share of answers that mark
   nothing though the truth does, seconds of a processor. "refined" is "open" with its network
   fine-tuned on the support. The rivals answer the same episodes: a U-Net from scratch (300 steps,
   flips), a random forest on filters, prototypes on the ImageNet features, the mean mask.

`package` copies the refiner of "open" and the first seed into the package.
"""

import argparse
import itertools
import json
import math
import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

import medshot
from masks_judged import EPISODES, GROUPS, RIVALS, SETS, SLOW, judged
from medshot.core.atomic import write_text
from medshot.core.episode import Episode, Examples
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.episodes import ImageEpisodes
from medshot.data.transforms import ImagePreprocessing
from medshot.learners.amortized.stacked_masks import (
    MEMBERS,
    PACKAGED,
    StackedMasks,
)
from medshot.nn.mask_maps import N_PIXEL
from medshot.nn.mask_refiner import UNKNOWN, MaskRefiner, class_margins
from medshot.phantoms.masks.task import PhantomMasks
from results import arguments, commit, hardware
from segmentation import real_set

VOLUMES = "hippocampus"  # its slices: to learn from alone
OPEN = ("nuclei_dsb2018", "fetal_head_hc18", "lung_fields_shenzhen", "wbc1", VOLUMES)
PHANTOMS, THIN, BORDERS = "phantoms", "thin phantoms", "borders"
MADE = (PHANTOMS, THIN, BORDERS)  # lessons beside those of the sets
FAMILIES = ("vessels", "membranes")  # of THIN, in turn
BORDERED = ("nuclei_dsb2018", "wbc1", "lung_fields_shenzhen")  # BORDERS are those of their masks
LESSONS = {PHANTOMS: 64, **dict.fromkeys(OPEN[:3], 48)}  # episodes; 24 of the others
TAUGHT = (1, 2, 4, 8, 16, 1, 3, 6)  # support images of the lessons, in turn
ASKED = 6  # queries of a lesson
SEEDS = (0, 1, 2)
STEPS, BATCH, RATE, DECAY = 1000, 8, 3e-3, 1e-2
DROPPED, BLIND = 0.1, 0.25  # chance that a lesson lacks a member; that it lacks the image
UNMEASURED = 0.1  # chance that it lacks the members' Dice by cross-validation
STEPS_OF_TUNING = 40
WIDTHS = (32, 40, 48, 64)
SIZE = 128


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    if options.part == "package":
        package(options.out)
    else:
        run(options)


def _options() -> argparse.Namespace:
    parser = arguments(__doc__, "run", "package")
    parser.add_argument("--out", type=Path, required=True, help="folder of what is made")
    parser.add_argument("--only", nargs="*", default=SETS, help="only these sets")
    parser.add_argument("--learners", nargs="*", help="only these: open, refined, all, unet, ...")
    parser.add_argument("--seeds", nargs="*", type=int, default=SEEDS)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def run(options: argparse.Namespace) -> None:
    """Everything that is missing."""
    wanted = options.learners or ["open", "refined", *RIVALS, "all"]
    for key, name in itertools.product(wanted, options.only):
        seeds = [0] if key in RIVALS else options.seeds
        for seed in seeds:
            file = options.out / "judged" / f"{key}@{name}@{seed}.json"
            if file.exists():
                continue
            learner = _learner(key, name, seed, options.out)
            row = {"learner": key, "set": name, "seed": seed}
            row |= judged(learner, name, SLOW.get(key, EPISODES))
            row |= {"hardware": hardware(), "commit": commit()}
            write_text(file, json.dumps(row) + "\n")
            found = {shot: round(np.mean(cell["dice"]), 3) for shot, cell in row["shots"].items()}
            print(key, name, seed, found, flush=True)


def _learner(key: str, name: str, seed: int, out: Path) -> Learner:
    if key in RIVALS:
        return RIVALS[key](medshot.encoder("mobilenet"))
    group = next(group for group in GROUPS if name in group)
    known = [each for each in SETS if each not in group] if key == "all" else list(OPEN)
    known = [each for each in known if each != name]
    folder = refiner(known, seed, out)
    options: dict[str, Any] = {
        "refiner": str(folder),
        "refine": STEPS_OF_TUNING * (key == "refined"),
    }
    return medshot.build("stacked-masks", encoder=medshot.encoder("mobilenet"), **options)


def lessons(name: str, out: Path) -> list[dict[str, Any]]:
    """Margins, image and masks of the queries of each episode, on disk in parts of 8 episodes."""
    folder = saved(MaskRefiner(members=len(MEMBERS), n_features=N_PIXEL), out / "untrained", {})
    mobilenet = medshot.encoder("mobilenet")
    learner: Any = medshot.build("stacked-masks", encoder=mobilenet, refiner=str(folder))
    episodes, found = LESSONS.get(name, 24), []
    data = None
    for first in range(0, episodes, 8):
        file = out / "lessons" / f"{name}-{first}.pt"
        if not file.exists():
            data = loaded(name) if data is None and name not in MADE else data
            made = [lesson(learner, taught(name, data, i)) for i in range(first, first + 8)]
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.save(made, file.with_suffix(".part"))
            file.with_suffix(".part").rename(file)
            print(file, flush=True)
        found += torch.load(file)
    return found


def loaded(name: str) -> Dataset:
    """A set of images; of the hippocampus, three slices of each volume."""
    data = real_set(name)
    if name != VOLUMES:
        return data
    x, y, groups = [], [], []
    for i in range(len(data)):
        marked = (data.y[i] > 0).flatten(1).sum(1)
        middle = int(marked.argmax())
        for z in (middle - 6, middle, middle + 6):
            mask = data.y[i][min(max(z, 0), len(marked) - 1)]
            rows, columns = (mask >= 0).any(1), (mask >= 0).any(0)
            flat = data.x[i, 0, min(max(z, 0), len(marked) - 1)][rows][:, columns]
            wide = F.interpolate(flat[None, None].float(), (SIZE, SIZE), mode="bilinear")
            x.append(wide[0].round().to(torch.uint8).expand(3, -1, -1))
            labels = mask[rows][:, columns][None, None].float()
            y.append(F.interpolate(labels, (SIZE, SIZE), mode="nearest")[0, 0].to(torch.uint8))
            groups.append(i)
    form = ImagePreprocessing(3, SIZE)
    parts = torch.stack(x), torch.stack(y), data.labels, torch.tensor(groups), form, "slices"
    return Dataset(name, *parts, task=medshot.Segmentation(len(data.labels)))


def taught(name: str, data: Dataset | None, i: int) -> Episode:
    """Episode `i`, of a set or of phantoms, turned."""
    shot = TAUGHT[i % len(TAUGHT)]
    if name == BORDERS:
        data = real_set(BORDERED[i % len(BORDERED)])
    if data is None:
        family = FAMILIES[i % len(FAMILIES)] if name == THIN else None
        source: Any = PhantomMasks(shot=shot, query=ASKED, family=family, seed=77)
    else:
        source = ImageEpisodes(data, shot=max(shot, len(data.labels) - 1), query=ASKED, seed=1000)
    episode = source.episode(i)
    quarters, mirrored = np.random.default_rng([77, i]).integers([4, 2]).tolist()
    support, query = (
        _turned(each, quarters, mirrored)
        for each in vars(episode).values()
        if isinstance(each, Examples)
    )
    if name == BORDERS:
        support, query = _borders(support), _borders(query)
        return Episode(medshot.Segmentation(2), support, query)
    return Episode(episode.task, support, query)


def _borders(examples: Examples) -> Examples:
    """The pixels next to which the class changes, as a class: a thin structure."""
    y = examples.y[:, None].float()
    band = F.max_pool2d(y, 3, 1, 1) != -F.max_pool2d(-y, 3, 1, 1)
    return Examples(examples.x, band[:, 0].long(), examples.groups)


def _turned(examples: Examples, quarters: int, mirrored: int) -> Examples:
    x, y = (each.rot90(quarters, (-2, -1)) for each in (examples.x, examples.y))
    x, y = (each.flip(-1) if mirrored else each for each in (x, y))
    return Examples(x.contiguous(), y.contiguous(), examples.groups)


@torch.no_grad()
def lesson(learner: StackedMasks, episode: Episode) -> dict[str, Any]:
    """What the refiner reads for the queries of an episode, in half precision."""
    predictor: Any = learner.learn(episode.support, episode.task)
    maps = predictor.maps(episode.query.x)
    scores = predictor.scores(maps)
    small = F.avg_pool2d(maps.pixels, 4)  # the refiner does the same
    return {
        "margins": class_margins(scores).half(),
        "image": small.half(),
        "numbers": predictor.numbers,
        "y": episode.query.y.to(torch.uint8),
    }


def refiner(known: Sequence[str], seed: int, out: Path) -> Path:
    """Folder of a refiner that knows these sets and phantoms."""
    folder = out / "refiners" / f"{'+'.join(sorted(known))}@{seed}"
    if not (folder / "refiner.json").exists():
        shelf = {name: lessons(name, out) for name in (*sorted(known), *MADE)}
        borders = enumerate(shelf.pop(BORDERS))
        some = [each for i, each in borders if BORDERED[i % len(BORDERED)] in known]
        shelf |= {BORDERS: some} if some else {}
        made, loss = fitted(shelf, seed)
        about = {"made by": "python experiments/stacked_masks.py", "sets": [*sorted(known)]}
        about |= {"steps": STEPS, "seed": seed, "loss": round(loss, 4), "commit": commit()}
        saved(made, folder, about)
    return folder


def saved(made: MaskRefiner, folder: Path, about: Mapping[str, Any]) -> Path:
    """The folder, with weights in half precision and what is to be known of them."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: each.half().contiguous() for name, each in made.state_dict().items()}
    save_file(tensors, folder / "refiner.safetensors")
    write_text(folder / "refiner.json", json.dumps({**about, "widths": WIDTHS}, indent=1) + "\n")
    return folder


def fitted(shelf: Mapping[str, list[dict[str, Any]]], seed: int) -> tuple[MaskRefiner, float]:
    """Train a refiner: AdamW with a cosine schedule; each step draws sets with equal chances."""
    torch.manual_seed(seed)
    rng, net = (
        random.Random(seed),
        MaskRefiner(members=len(MEMBERS), n_features=N_PIXEL, widths=WIDTHS),
    )
    pixels = torch.cat([each["image"][:2].float() for some in shelf.values() for each in some])
    net.mean.copy_(pixels.mean((0, 2, 3)))
    net.deviation.copy_(pixels.std((0, 2, 3)) + 1e-3)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    running = 1.0
    for step in range(STEPS):
        rate = RATE * min(1, step / 50) * (1 + math.cos(math.pi * step / STEPS)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        margins, image, numbers, y = _batch(shelf, rng)
        optimizer.zero_grad()
        loss = _loss(_logits(net, margins, image, numbers), y)
        loss.backward()
        optimizer.step()
        running = 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"refiner of {len(shelf)} sets, seed {seed}: {step}, {running:.3f}", flush=True)
    return net.eval(), running


def _logits(net: MaskRefiner, margins: Tensor, image: Tensor, numbers: Tensor) -> Tensor:
    wide = F.interpolate(image, scale_factor=4.0)  # averaged again by the refiner
    return net(margins, wide, numbers)


def _batch(
    shelf: Mapping[str, list[dict[str, Any]]], rng: random.Random
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Queries with one of their classes, turned, some without a member or the image."""
    parts = []
    for _ in range(BATCH):
        one = rng.choice(shelf[rng.choice(list(shelf))])
        q, c = rng.randrange(len(one["y"])), rng.randrange(one["margins"].shape[1])
        margins, image = one["margins"][q, c].float(), one["image"][q].float()
        y = (one["y"][q] == c + 1).float()[None]
        if rng.random() < DROPPED:
            margins[rng.randrange(len(MEMBERS))] = 0
        numbers = one["numbers"][c + 1]
        if rng.random() < UNMEASURED:
            numbers = torch.cat([numbers[:2], torch.full_like(numbers[2:], UNKNOWN)])
        if rng.random() < BLIND:
            image = image.mean((1, 2), keepdim=True).expand_as(image)
        quarters, mirrored = rng.randrange(4), rng.random() < 0.5
        turned = [each.rot90(quarters, (-2, -1)) for each in (margins, image, y)]
        turned = [each.flip(-1) if mirrored else each for each in turned]
        parts.append((turned[0], turned[1], numbers, turned[2][0]))
    margins, image, numbers, y = (torch.stack(each) for each in zip(*parts, strict=True))
    return margins, image, numbers, y


def _loss(logits: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy plus soft Dice loss, of each image."""
    p = logits.sigmoid()
    overlap = (2 * (p * y).sum((1, 2)) + 1) / ((p + y).sum((1, 2)) + 1)
    return F.binary_cross_entropy_with_logits(logits, y) + 1 - overlap.mean()


def package(out: Path) -> None:
    """Copy the refiner of the open sets."""
    source = refiner(OPEN, SEEDS[0], out)
    PACKAGED.mkdir(exist_ok=True)
    for name in ("refiner.json", "refiner.safetensors"):
        shutil.copy(source / name, PACKAGED / name)


if __name__ == "__main__":
    main()
