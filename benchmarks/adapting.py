"""What it costs to use a learner: time to adapt and answer, and the size of a predictor.

Every learner adapts to 5 classes of 5 images, 32 pixels, Conv4 of width 32, and answers 25 queries;
then, adapted, it answers one. The peer is the linear probe on the same encoder, in the same round.
Made-up images: neither time nor size depends on what is in them. Every learner as it comes, with
the steps that are its default (`medshot learners --options`).
"""

import torch

import medshot
from measure import Row, compare, options, report, row
from medshot import Classification, Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.learners import learners

WAY, SHOT, SIZE = 5, 5, 32
PEER = "linear-probe"


def main() -> None:
    found = options(__doc__, rounds=9)
    made = {name: _learner(name) for name in learners()}
    support, query = _examples(WAY * SHOT), _examples(25)
    task = Classification(WAY)
    whole = {n: lambda m=m: m.adapt(support, task)(query.x) for n, m in made.items()}
    adapted = {n: m.adapt(support, task) for n, m in made.items()}
    one = {n: lambda p=p: p(query.x[:1]) for n, p in adapted.items()}
    with torch.no_grad():
        rows = _rows("adapt and answer 25", compare(whole, found.rounds))
        rows += _rows("answer one", compare(one, found.rounds))
    sizes = [_size(name, p) for name, p in sorted(adapted.items())]
    report(rows, found, "\n".join(["tensors of a predictor, its encoder included:", *sizes]))


def _rows(what: str, seconds: dict[str, list[float]]) -> list[Row]:
    peer = seconds[PEER]
    return [
        row(f"{what}: {name}", mine, peer, agreement="")
        for name, mine in sorted(seconds.items())
        if name != PEER
    ]


def _learner(name: str) -> Learner:
    torch.manual_seed(0)
    encoder = medshot.encoder("conv4", channels=3, size=SIZE, width=32, halve="stride")
    return medshot.build(name, encoder=encoder).eval()


def _size(name: str, predictor: Predictor) -> str:
    held = sum(t.nbytes for t in predictor.freeze().state_dict().values())
    return f"{name}: {held / 1024:.0f} KiB"


def _examples(n: int) -> Examples:
    rng = torch.Generator().manual_seed(n)
    x = torch.rand(n, 3, SIZE, SIZE, generator=rng)
    return Examples(x, torch.arange(n) % WAY)


if __name__ == "__main__":
    main()
