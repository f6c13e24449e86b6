"""One exact MAML meta-gradient, against the same loop written with `higher` and with torchopt.

Omniglot, 5-way 1-shot, 15 queries a class, 32 tasks, one inner step of SGD, second derivatives
kept, batch norm over the batch at hand (transductive) on every side, float32, default layout. Two
networks: Conv4-64 that halves by pooling, and by stride (Finn et al. 2017). The peers get the
textbook order of layers and whatever PyTorch does with --threads threads inside its operators;
ours shares the tasks out among as many threads, one to a task (`medshot.train(workers=...)`), and
also runs with workers=1.

That all do the same is checked in float64 on 4 tasks: the whole meta-gradient.
"""

import copy
from collections.abc import Callable

import higher
import torch
import torchopt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.profiler import ProfilerActivity, profile

import medshot
from measure import Row, compare, difference, options, report, row
from medshot import EpisodeSampler
from medshot.core.episode import Episode
from medshot.core.learner import Learner
from medshot.evaluation.protocols import protocol
from medshot.training.gradient import Workers
from medshot.training.objective import MetaObjective
from textbook import conv4, double, tensors

TARGET = 1.5
TASKS = 32
LR = 0.4
Gradient = Callable[[list[Episode]], list[Tensor]]


def main() -> None:
    found = options(__doc__, rounds=7)
    dataset = protocol("finn17/omniglot/5w1s").dataset("train")
    sampler = EpisodeSampler(dataset, way=5, shot=1, query=15, rotate=True)
    episodes = [sampler.episode(i) for i in range(4 if found.quick else TASKS)]
    rows, notes = [], []
    for pool in (True, False):
        learner = _learner(pool)
        rows += _compare(learner, pool, episodes, found.threads, found.rounds)
        notes.append(f"{_name(pool)}, share of CPU time: {_profile(learner, episodes[:4])}")
    report(rows, found, "\n".join(notes))


def _learner(pool: bool) -> Learner:
    torch.manual_seed(0)
    how = {"halve": "pool", "read": "flatten"} if pool else {"halve": "stride", "read": "mean"}
    form = {"channels": 1, "size": 28, "scaling": "invert"}
    encoder = medshot.encoder("conv4", norm="transductive", **form, **how)
    return medshot.build("maml", encoder=encoder, way=5, lr=LR, steps=1).train()


def _name(pool: bool) -> str:
    return f"MAML, {'pool' if pool else 'stride'}"


def _compare(
    learner: Learner, pool: bool, episodes: list[Episode], threads: int, rounds: int
) -> list[Row]:
    ours = {"workers": _workers(threads), "loop": _workers(1)}
    makers = {**ours, "higher": _higher, "torchopt": _torchopt}
    few = [double(e) for e in episodes[:4]]
    exact = {n: make(copy.deepcopy(learner).double(), pool)(few) for n, make in makers.items()}
    gradients = {name: make(copy.deepcopy(learner), pool) for name, make in makers.items()}
    sides = {n: (lambda g=g: g(episodes)) for n, g in gradients.items()}
    seconds = compare(sides, rounds)
    return [
        row(
            f"{_name(pool)}, workers={threads if side == 'workers' else 1} vs {peer}",
            seconds[side],
            seconds[peer],
            target=TARGET if side == "workers" else None,
            agreement=f"float64: gradient differs by {difference(exact[side], exact[peer]):.0e}",
        )
        for side in ours
        for peer in ("higher", "torchopt")
    ]


def _workers(count: int) -> Callable[[Learner, bool], Gradient]:
    def make(learner: Learner, pool: bool) -> Gradient:
        del pool
        crew = Workers(MetaObjective(learner), count)

        def gradient(episodes: list[Episode]) -> list[Tensor]:
            learner.zero_grad()
            crew.backward([[episode] for episode in episodes])
            return [p.grad for p in learner.parameters()]

        return gradient

    return make


def _textbook(learner: Learner, pool: bool) -> nn.Sequential:
    body = conv4(learner.encoder, pool=pool, running=False)
    return nn.Sequential(body, copy.deepcopy(learner.head)).to(learner.head.weight.dtype)


def _higher(learner: Learner, pool: bool) -> Gradient:
    """As in the examples of `higher`: an inner loop context a task."""
    model = _textbook(learner, pool)
    inner = torch.optim.SGD(model.parameters(), lr=LR)

    def gradient(episodes: list[Episode]) -> list[Tensor]:
        model.zero_grad()
        for x, y, query_x, query_y in map(tensors, episodes):
            with higher.innerloop_ctx(model, inner, copy_initial_weights=False) as (fast, steps):
                steps.step(cross_entropy(fast(x), y))
                (cross_entropy(fast(query_x), query_y) / len(episodes)).backward()
        return [p.grad for p in model.parameters()]

    return gradient


def _torchopt(learner: Learner, pool: bool) -> Gradient:
    """As in the examples of torchopt: MetaSGD, and the start restored after each task."""
    model = _textbook(learner, pool)
    params, inner = list(model.parameters()), torchopt.MetaSGD(model, lr=LR)

    def gradient(episodes: list[Episode]) -> list[Tensor]:
        for p in params:
            p.grad = None
        start, state = (torchopt.extract_state_dict(o, by="reference") for o in (model, inner))
        for x, y, query_x, query_y in map(tensors, episodes):
            inner.step(cross_entropy(model(x), y))
            (cross_entropy(model(query_x), query_y) / len(episodes)).backward()
            torchopt.recover_state_dict(model, start)
            torchopt.recover_state_dict(inner, state)
        return [p.grad for p in params]

    return gradient


def _profile(learner: Learner, episodes: list[Episode]) -> str:
    """The operators that take most of our step, on one thread."""
    threads, gradient = torch.get_num_threads(), _workers(1)(learner, True)
    torch.set_num_threads(1)
    gradient(episodes)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for episode in episodes:
            learner.meta_loss(episode).backward()
    torch.set_num_threads(threads)
    events = sorted(seen.key_averages(), key=lambda e: -e.self_cpu_time_total)
    total = sum(e.self_cpu_time_total for e in events)
    shares = [(e.key.removeprefix("aten::"), e.self_cpu_time_total / total) for e in events[:6]]
    return ", ".join(f"{name} {share:.0%}" for name, share in shares)


if __name__ == "__main__":
    main()
