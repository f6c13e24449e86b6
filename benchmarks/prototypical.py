"""One meta-training step of a prototypical network, against easyfsl's PrototypicalNetworks.

Omniglot, 60-way 1-shot 5-query, Conv4-64 with batch norm from the same weights, Adam, plain
Euclidean distances (the peer takes the root, where the paper squares); both sides step on the
same episodes, drawn beforehand. The peer runs as released, in float32 and the default layout.
Ours runs as `medshot.train(bf16=True, channels_last=True)` does and, for the same precision, in
float32 and the default layout.

That both do the same is checked in float64, where rounding hides nothing: loss and gradient of
the first step. For this check alone ours encodes support and query one after the other, as the
peer does (we train on one pass). Then both train for some hundred equal steps and are tested on
the published test classes; so does ours with the paper's squared distance.
"""

import copy
from collections.abc import Callable
from itertools import cycle

import torch
from torch import Tensor, nn

import medshot
from doors import through_torchvision
from measure import compare, difference, options, report, row
from medshot import EpisodeSampler
from medshot.core.episode import Episode, Examples
from medshot.core.learner import Learner
from medshot.evaluation.episodes import evaluate
from medshot.evaluation.protocols import protocol
from textbook import conv4, double, tensors

methods = through_torchvision("easyfsl.methods")
RULES = protocol("snell17/omniglot/5w1s")
TARGET = 2.5
STEPS = 300  # before the accuracies are compared
EPISODES = 600  # to compare them
LR = 1e-3


def main() -> None:
    found = options(__doc__, rounds=15)
    sampler = EpisodeSampler(RULES.dataset("train"), way=60, shot=1, query=5)
    torch.manual_seed(0)
    encoder = medshot.encoder("conv4", channels=1, size=28, norm="batch", scaling="invert")
    start = medshot.build("prototypical", encoder=encoder, distance="euclidean").train()
    same = _check(start, sampler.episode(0))
    drawn = [sampler.episode(i) for i in range(8)]
    sides = {"fast": _ours(start, fast=True), "float32": _ours(start), "peer": _peer(start)}
    rounds = {name: _round(step, drawn) for name, (step, _) in sides.items()}
    seconds = compare(rounds, found.rounds)
    fast, float32, peer = (seconds[name] for name in ("fast", "float32", "peer"))
    rows = [
        row("prototypical step, bf16, channels-last", fast, peer, target=TARGET, agreement=same),
        row("prototypical step, float32", float32, peer, agreement=same),
    ]
    steps, episodes = (2, 5) if found.quick else (STEPS, EPISODES)
    report(rows, found, _accuracies(start, sampler, steps, episodes))


def _ours(start: Learner, *, fast: bool = False) -> tuple[Callable[[Episode], Tensor], Learner]:
    """A step as in our training loop, and what it trains."""
    learner = copy.deepcopy(start)
    layout = torch.channels_last if fast else torch.contiguous_format
    learner.to(memory_format=layout)
    optimizer = torch.optim.Adam(learner.parameters(), lr=LR)

    def step(episode: Episode) -> Tensor:
        support, query = (
            Examples(e.x.contiguous(memory_format=layout), e.y)
            for e in (episode.support, episode.query)
        )
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            loss = learner.meta_loss(Episode(episode.task, support, query))
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, learner


def _peer(start: Learner) -> tuple[Callable[[Episode], Tensor], nn.Module]:
    """A step as in easyfsl's tutorial, and what it trains."""
    model = methods.PrototypicalNetworks(conv4(start.encoder)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)

    def step(episode: Episode) -> Tensor:
        optimizer.zero_grad()
        loss = _peer_loss(model, episode)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, model


def _peer_loss(model: nn.Module, episode: Episode) -> Tensor:
    x, y, query_x, query_y = tensors(episode)
    model.process_support_set(x, y)
    return nn.functional.cross_entropy(model(query_x), query_y)


def _round(step: Callable[[Episode], Tensor], drawn: list[Episode]) -> Callable[[], Tensor]:
    episodes = cycle(drawn)
    return lambda: step(next(episodes))


def _check(start: Learner, episode: Episode) -> str:
    ours = copy.deepcopy(start).double()
    peer = methods.PrototypicalNetworks(conv4(ours.encoder)).double().train()
    losses = (Learner.meta_loss(ours, double(episode)), _peer_loss(peer, double(episode)))
    grads = [
        list(torch.autograd.grad(loss, list(model.parameters())))
        for loss, model in zip(losses, (ours, peer), strict=True)
    ]
    loss = difference([losses[0]], [losses[1]])
    return f"float64: loss differs by {loss:.0e}, gradient by {difference(*grads):.0e}"


def _accuracies(start: Learner, sampler: EpisodeSampler, steps: int, episodes: int) -> str:
    """Both trained equally, then both tested by our evaluation."""
    squared = medshot.build("prototypical", encoder=start.encoder).train()
    (ours, learner), (paper, other) = _ours(start, fast=True), _ours(squared, fast=True)
    theirs, model = _peer(start)
    for i in range(steps):
        for step in (ours, paper, theirs):
            step(sampler.episode(i))
    judged = copy.deepcopy(start)
    judged.encoder.blocks.load_state_dict(model.backbone.state_dict())
    test = RULES.sampler(RULES.dataset("test"))
    said = f"accuracy after {steps} equal steps, 5-way 1-shot, {episodes} test episodes:"
    for name, trained in (("ours", learner), ("peer", judged), ("ours, squared", other)):
        found = evaluate(trained, test, episodes=episodes).interval("accuracy")
        mean, low, high = (f"{100 * value:.2f}" for value in (found.mean, found.low, found.high))
        said += f" {name} {mean} % [{low}, {high}]"
    return said


if __name__ == "__main__":
    main()
