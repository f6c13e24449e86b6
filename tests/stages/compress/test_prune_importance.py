"""A channel matters as much as those who read it make of it."""

import pytest
import torch
import torch_pruning
from torch import nn

import toys
from medshot.nn import Conv4
from medshot.stages.compress.prune import Net, cut, energies, importance
from toys.networks import classifier


def test_scores_are_those_of_a_slow_loop():
    encoder, x = toys.conv4(norm="none"), toys.images(20)
    net = Net(encoder, nn.Linear(encoder.n_features, 2))
    graph = torch_pruning.DependencyGraph().build_dependency(net, x[:1])
    known = energies(net, x)
    found = {g[0].dep.target.module: importance(g, known) for g in graph.get_all_groups([net.head])}
    read = encoder.blocks[0](encoder.scaled(x))
    weight = encoder.blocks[1][0].weight
    for c in range(8):
        slow = weight[:, c].square().sum() * read[:, c].square().mean()
        assert found[encoder.blocks[0][0]][c].item() == pytest.approx(slow.item(), rel=1e-4)
    features, weight = encoder(x).unflatten(1, (8, -1)), net.head.weight.unflatten(1, (8, -1))
    for c in range(8):
        slow = (weight[:, c].square().sum(0) * features[:, c].square().mean(0)).sum()
        assert found[encoder.blocks[3][0]][c].item() == pytest.approx(slow.item(), rel=1e-4)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_channel_of_zeros_goes_first_and_the_output_stays(norm):
    before, x = classifier(norm=norm), toys.images()
    silent = {0: [1, 3, 9], 1: [0, 15], 2: [4], 3: [7, 8]}
    for i, channels in silent.items():
        for layer in before.encoder.blocks[i][:2]:
            for tensor in layer.state_dict().values():
                if tensor.ndim:
                    tensor[channels] = 0
    after = cut(before, x, 1 / 16)
    torch.testing.assert_close(after(x), before(x), rtol=1e-5, atol=1e-5)
    assert after.encoder.encoder.blocks[0][0].out_channels == 15


def test_what_is_never_lit_does_not_matter():
    encoder, x = Conv4(channels=1, size=16, width=8, norm="none").eval(), toys.images()
    with torch.no_grad():
        encoder.blocks[0][0].bias[2] = -100.0
    net = Net(encoder, nn.Linear(encoder.n_features, 2))
    graph = torch_pruning.DependencyGraph().build_dependency(net, x[:1])
    groups = list(graph.get_all_groups([net.head]))
    first = next(g for g in groups if g[0].dep.target.module is encoder.blocks[0][0])
    scores = importance(first, energies(net, x))
    assert scores[2] == 0
    assert (scores > 0).sum() > 4
