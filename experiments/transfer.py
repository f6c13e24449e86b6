"""From labels to masks: what meta-training on labels of whole images brings a segmenter.

    python experiments/transfer.py --out runs/transfer

A prototypical network (Conv4 of width 32, images of 32 pixels) is meta-trained on the labels of
the nine medical sets, and no mask. Its encoder, laid on the grid of 128 pixels, then learns masks
from 1 and 4 images of five other sets, by a linear probe and by ridge regression of its features.
The same architecture from scratch does the same on the same episodes. Dice; 6 episodes, 12 queries.
"""

import copy
import json
from typing import Any

import torch

import medshot
from medshot.core.atomic import write_text
from medshot.core.learner import Learner
from medshot.data.episodes import ImageEpisodes
from medshot.evaluation.episodes import evaluate
from medshot.evaluation.protocols import MEDICAL, data_root
from medshot.evaluation.statistics import paired
from medshot.nn.encoders.adapters import Hypercolumns
from medshot.training.progress import bar
from results import commit, hardware, markdown, parse, plus_minus
from segmentation import SETS, real_set

SHOTS, EPISODES, QUERIES = (1, 4), 6, 12
SIZE, WIDTH = 32, 32
HOW: dict[str, dict[str, Any]] = {"linear-probe": {}, "ridge": {"penalty": 0.01}}


def main() -> None:
    options = parse(__doc__, steps=600)
    encoders = {"meta-trained on labels": _trained(options.out / "run", options.steps)}
    encoders["from scratch"] = _encoder()
    rows = []
    for name in options.only or SETS:
        data = real_set(name)
        for how, settings in HOW.items():
            made = {key: _learner(how, encoder, settings) for key, encoder in encoders.items()}
            rows += [_row(name, how, shot, made, data) for shot in SHOTS]
            print(json.dumps(rows[-2:]), flush=True)
            about = {"hardware": hardware(), "commit": commit(), "rows": rows}
            write_text(options.out / "result.json", json.dumps(about, indent=2) + "\n")


def _trained(out: Any, steps: int) -> medshot.Encoder:
    torch.manual_seed(0)
    run = medshot.train(
        medshot.build("prototypical", encoder=_encoder()),
        [medshot.load(data_root() / f"cls_{name}").at(3, SIZE) for name in MEDICAL],
        out=out,
        way=7,
        shot=5,
        query=5,
        steps=steps,
        val_every=steps // 3,
        val_episodes=40,
        watch=bar,
    )
    encoder: Any = run.learner.encoder
    return encoder


def _encoder() -> medshot.Encoder:
    torch.manual_seed(0)
    return medshot.encoder("conv4", size=SIZE, width=WIDTH, halve="stride")


def _learner(how: str, encoder: medshot.Encoder, settings: dict[str, Any]) -> Learner:
    return medshot.build(how, encoder=Hypercolumns(encoder=copy.deepcopy(encoder)), **settings)


def _row(name: str, how: str, shot: int, made: dict[str, Learner], data: Any) -> dict[str, Any]:
    source = ImageEpisodes(data, shot=shot, query=QUERIES, seed=5)
    found = {key: evaluate(each, source, episodes=EPISODES) for key, each in made.items()}
    first, second = (result.scores["Dice"] for result in found.values())
    row: dict[str, Any] = {"set": name, "how": how, "shot": shot}
    row |= {key: vars(result.interval("Dice")) for key, result in found.items()}
    return row | {"difference": vars(paired(first, second))}


def table(found: dict[str, Any]) -> str:
    """Dice of both encoders and the paired difference: a row a set, number of images and head."""
    sides = ("meta-trained on labels", "from scratch", "difference")
    rows = []
    for row in found["rows"]:
        cells = [plus_minus(row[side], "+" if side == "difference" else "") for side in sides]
        rows.append([row["set"], row["shot"], f"`{row['how']}`", *cells])
    about = f"{found['hardware']}, commit `{found['commit']}`"
    return f"{markdown(['set', 'images', 'how', *sides], rows)}\n{about}\n"


if __name__ == "__main__":
    main()
