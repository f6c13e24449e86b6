"""How fast phantoms with masks are drawn: images of 128 pixels a second on one core.

Each side draws 4 images of each of several tasks, shapes and physics and masks; the peer is the
older generator of labelled phantoms (no masks) at the same size. Images a second are of the CPU's
own time, so that other programs on the machine do not count; the aim is 200. Volumes have 48
voxels a side and are compared with as many images.
"""

import functools
import time
from collections.abc import Callable

from measure import Row, compare, options, report, row
from medshot.phantoms import FAMILIES, PhantomTask, SceneTask, VolumeTask

SIZE, TASKS, IMAGES = 128, 14, 4
AIM = 200  # images a second


def main() -> None:
    found = options(__doc__, rounds=7)
    tasks = {name: [SceneTask(s, SIZE, family=name) for s in range(TASKS)] for name in FAMILIES}
    mixed = [SceneTask(seed, SIZE) for seed in range(len(FAMILIES) * TASKS)]
    peers = [PhantomTask(seed, size=SIZE) for seed in range(2)]
    peer = functools.partial(_draw, peers, lambda task: task.images(1))
    rows = [_row("all families", mixed, peer, found.rounds)]
    rows += [_row(name, part, peer, found.rounds) for name, part in tasks.items()]
    volumes = [VolumeTask(seed) for seed in range(TASKS)]
    rows.append(_row("volumes", volumes, peer, found.rounds))
    report(rows, found, f"ratio: time an image of the older generator; aim {AIM} images a second")


def _row(name: str, tasks: list, peer: Callable[[], float], rounds: int) -> Row:
    rates: list[float] = []
    ours = functools.partial(_draw, tasks, lambda task: task.images(IMAGES), rates)
    seconds = compare({"ours": ours, "peer": peer}, rounds)
    mine = [s / (len(tasks) * IMAGES) for s in seconds["ours"]]
    theirs = [s / 8 for s in seconds["peer"]]  # 2 tasks of 4 classes, an image each
    rate = sorted(rates)[len(rates) // 2]
    return row(name, mine, theirs, agreement=f"{rate:.0f} images a second")


def _draw(tasks: list, images: Callable, rates: list[float] | None = None) -> float:
    """Draw, and note how many images a second of the CPU's time that was."""
    start = time.process_time()
    count = sum(len(images(task)[0]) for task in tasks)
    rate = count / (time.process_time() - start)
    if rates is not None:
        rates.append(rate)
    return rate


if __name__ == "__main__":
    main()
