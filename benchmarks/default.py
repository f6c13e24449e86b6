"""What the default of `medshot adapt` costs, against the ImageNet linear probe.

Both adapt to 3 classes of 5 images and answer 25 more, on one thread: the stacked probe on the
packaged encoder at 128 pixels (each support image and its mirror image are encoded), and a linear
probe on the last map of the same network at 224 pixels. Images in memory; made-up ones: time does
not depend on what is in them.
"""

import torch

import medshot
from measure import compare, options, report, row
from medshot import Classification, Examples

WAY, SHOT, QUERIES = 3, 5, 25
NAMES = "stacked probe, 128 pixels", "ImageNet linear probe, 224 pixels"


def main() -> None:
    found = options(__doc__, rounds=9)
    large = medshot.encoder("mobilenet", size=224, depths=())
    made = {
        NAMES[0]: (medshot.build("stacked-probe"), 128),
        NAMES[1]: (medshot.build("linear-probe", encoder=large), 224),
    }
    task = Classification(WAY)
    calls = {}
    for name, (learner, size) in made.items():
        support, query = _examples(WAY * SHOT, size), _examples(QUERIES, size)
        calls[name] = lambda m=learner, s=support, q=query: m.adapt(s, task).predict_batches(q.x)
    with torch.no_grad():
        seconds = compare(calls, found.rounds)
    rows = [row(f"adapt to 15, answer 25: {NAMES[0]}", *map(seconds.get, NAMES), agreement="")]
    report(rows, found, "The target is at least twice as fast as the bar, and at most 0.25 s.")


def _examples(n: int, size: int) -> Examples:
    x = torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(n))
    return Examples(x, torch.arange(n) % WAY)


if __name__ == "__main__":
    main()
