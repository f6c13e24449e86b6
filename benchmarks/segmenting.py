"""What a mask costs: learning from 8 supports of 128 pixels and answering 25 queries.

In-context and prototypical segmentation beside the linear probe of pixels and a U-Net that is
trained from scratch on the same supports (150 steps), in the same round; and a volume of the size
of the hippocampus, learned from and answered. Made-up images: the time does not depend on what is
in them. The aim is one second for each of ours, on two cores.
"""

import torch

import medshot
from measure import Row, compare, options, report, row
from medshot import Examples, Segmentation
from medshot.core.learner import Learner

PEER = "finetune (U-Net)"
SUPPORT, QUERIES, SIZE = 8, 25, 128
VOLUME = (36, 50, 35)


def main() -> None:
    found = options(__doc__, rounds=3)
    support, query = _examples(SUPPORT, SIZE, SIZE), _examples(QUERIES, SIZE, SIZE)
    volume = _examples(1, *VOLUME)
    sides = {
        name: lambda learner=learner: learner.adapt(support, Segmentation(2)).predict_batches(
            query.x
        )
        for name, learner in _learners(2 if found.quick else 150).items()
    }
    solid = medshot.build("ridge", encoder=medshot.encoder("unet3d")).eval()
    deep = {"volume": lambda: solid.adapt(volume, Segmentation(2))(volume.x)}
    with torch.no_grad():
        seconds = compare(sides, found.rounds)
        seconds["ridge on a 3D U-Net: a volume"] = compare(deep, found.rounds)["volume"]
    report(_rows(seconds), found, "ratio: time of the U-Net; aim: under 1000 ms for each of ours")


def _learners(steps: int) -> dict[str, Learner]:
    torch.manual_seed(0)
    sharp = medshot.encoder("unet", filters=[0.8, 2.0])
    plain = medshot.encoder("unet", width=16, depth=3)
    made = {
        "in-context-masks": medshot.build("in-context-masks", encoder=sharp),
        "prototypical": medshot.build("prototypical", encoder=medshot.encoder("unet")),
        "linear-probe on filters": medshot.build(
            "linear-probe", encoder=medshot.encoder("filters")
        ),
        PEER: medshot.build("finetune", encoder=plain, lr=0.01, steps=steps, batch=4),
    }
    return {name: learner.eval() for name, learner in made.items()}


def _rows(seconds: dict[str, list[float]]) -> list[Row]:
    peer = seconds[PEER]
    return [row(name, mine, peer, agreement="") for name, mine in seconds.items() if name != PEER]


def _examples(n: int, *sides: int) -> Examples:
    rng = torch.Generator().manual_seed(n)
    channels = 3 if len(sides) == 2 else 1
    x = torch.rand(n, channels, *sides, generator=rng)
    return Examples(x, (x[:, 0] > 0.5).long())


if __name__ == "__main__":
    main()
