"""Linear maps and prototypes against loops."""

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

import toys
from medshot.core.errors import ShapeError
from medshot.core.registry import make, recipe
from medshot.learners.memory.ntm import NeuralTuringMachine
from medshot.nn.heads import (
    InContextPredictor,
    Linear,
    MachineRecall,
    MemoryPredictor,
    Prototypes,
    Reader,
    class_means,
    distances,
    features,
    labeled_sites,
    prototype_head,
    rows_to_grid,
    sites,
    squared_distances,
    widened,
    zero_head,
)


def test_squared_distances_are_sums_of_squared_differences():
    z, centres = torch.randn(7, 5), torch.randn(3, 5)
    slow = ((z[:, None] - centres) ** 2).sum(2)
    torch.testing.assert_close(squared_distances(z, centres), slow, atol=1e-5, rtol=1e-5)


def test_the_root_of_a_distance_is_the_norm_of_the_difference():
    z, centres = torch.randn(7, 5), torch.randn(3, 5)
    slow = (z[:, None] - centres).norm(dim=2)
    torch.testing.assert_close(distances(z, centres, root=True), slow, atol=1e-5, rtol=1e-5)


def test_squared_distances_have_the_gradient_of_the_slow_formula():
    z, centres = (torch.randn(n, 5, dtype=torch.float64, requires_grad=True) for n in (4, 3))
    assert torch.autograd.gradcheck(squared_distances, (z, centres))


def test_class_means_are_means_also_of_unequal_classes():
    z, y = torch.randn(6, 5), torch.tensor([2, 0, 1, 0, 0, 2])
    means = class_means(z, one_hot(y, 3).float())
    for c in range(3):
        torch.testing.assert_close(means[c], z[y == c].mean(0))


@pytest.mark.parametrize("unit", [False, True])
def test_a_linear_head_is_its_formula(unit):
    encoder, weight, bias = toys.Projection(outputs=5), torch.randn(5, 3), torch.randn(3)
    x = toys.images()
    z = encoder(x)
    z = z / z.norm(dim=1, keepdim=True) if unit else z
    torch.testing.assert_close(Linear(encoder, weight, bias, unit)(x), z @ weight + bias)


@pytest.mark.parametrize("unit", [False, True])
def test_prototypes_score_minus_scaled_distances(unit):
    encoder, centres = toys.Projection(outputs=5), torch.randn(3, 5)
    x = toys.images()
    z = encoder(x)
    z = z / z.norm(dim=1, keepdim=True) if unit else z
    slow = -2.5 * ((z[:, None] - centres) ** 2).sum(2)
    scores = Prototypes(encoder, centres, torch.tensor(2.5), unit)(x)
    torch.testing.assert_close(scores, slow, atol=1e-4, rtol=1e-5)


def test_what_was_adapted_is_in_the_state_and_is_no_parameter():
    head = Linear(toys.conv4(), torch.randn(8, 3), torch.randn(3))
    assert {"weight", "bias"} <= set(head.state_dict())
    assert all(name.startswith("encoder.") for name, _ in head.named_parameters())


def test_distances_between_large_numbers_are_not_taken_in_half_precision():
    with torch.autocast("cpu", torch.bfloat16):
        far = torch.full((1, 4), 100.0)
        near = squared_distances(far, far + 0.125)
    assert near.item() == pytest.approx(4 * 0.125**2, abs=0.01)


def test_a_zero_head_is_zero_and_of_the_type_asked_for():
    weight, bias = zero_head(4, 3, like=torch.zeros((), dtype=torch.float64))
    assert (weight.shape, bias.shape, weight.dtype) == ((4, 3), (3,), torch.float64)
    assert not weight.any()
    assert not bias.any()


# Features of images and of sites.


def test_half_precision_ends_at_the_features():
    z = features(toys.Projection().bfloat16(), toys.images().bfloat16(), unit=False)
    assert z.dtype == torch.float32


def test_images_without_a_grid_are_their_own_sites():
    z = torch.randn(4, 3)
    torch.testing.assert_close(sites(z), z, rtol=0, atol=0)
    torch.testing.assert_close(rows_to_grid(z, z), z, rtol=0, atol=0)


def test_sites_are_rows_and_go_back_to_their_places():
    z = torch.randn(2, 5, 3, 4, 6)
    rows = sites(z)
    assert rows.shape == (2 * 3 * 4 * 6, 5)
    torch.testing.assert_close(rows[6 * 4 * 3 + 6 + 2], z[1, :, 0, 1, 2], rtol=0, atol=0)
    torch.testing.assert_close(rows_to_grid(rows, z), z, rtol=0, atol=0)


def test_a_head_on_an_encoder_that_keeps_the_grid_answers_every_pixel():
    encoder, weight, bias = nn.Conv2d(1, 5, 3, padding=1), torch.randn(5, 3), torch.randn(3)
    x = toys.images()
    found = Linear(encoder, weight, bias)(x)
    slow = torch.einsum("nfhw,fk->nkhw", encoder(x), weight) + bias[:, None, None]
    torch.testing.assert_close(found, slow)
    direction = torch.nn.functional.normalize(encoder(x), dim=1)[1, :, 4, 2]
    unit = Linear(encoder, weight, bias, unit=True)(x)
    torch.testing.assert_close(unit[1, :, 4, 2], direction @ weight + bias)


def test_of_images_as_targets_every_site_is_a_row_of_their_channels():
    z, y = torch.rand(2, 5, 3, 4), torch.rand(2, 3, 3, 4)
    rows, wanted = labeled_sites(z, y)
    assert (rows.shape, wanted.shape) == ((24, 5), (24, 3))
    assert torch.equal(rows[13], z[1, :, 0, 1])
    assert torch.equal(wanted[13], y[1, :, 0, 1])
    with pytest.raises(ShapeError, match="one of 3 x 5"):
        labeled_sites(z, torch.rand(2, 3, 3, 5))


# A predictor hands what was written to the memory that reads it.


class Nearest(nn.Module):
    """Minus the distance to each row."""

    def recall(self, z: torch.Tensor, rows: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return shift - torch.cdist(z, rows)


def test_what_was_written_is_read_in_its_order_and_moves_with_the_predictor():
    encoder, rows, shift = toys.Projection(), torch.randn(3, 32), torch.randn(3)
    predictor = MemoryPredictor(encoder, Nearest(), rows=rows, shift=shift)
    assert set(dict(predictor.named_buffers())) == {"rows", "shift"}
    x = toys.images(4)
    expected = shift - torch.cdist(nn.functional.normalize(encoder(x), dim=1), rows)
    torch.testing.assert_close(predictor(x), expected)
    assert predictor.double()(x.double()).dtype == torch.float64


def test_it_is_transductive_if_its_encoder_is():
    encoder = toys.conv4(norm="transductive")
    assert MemoryPredictor(encoder, Nearest(), rows=torch.zeros(1, 8)).transductive
    assert not MemoryPredictor(toys.conv4(), Nearest(), rows=torch.zeros(1, 8)).transductive


def test_a_machine_answers_for_the_classes_of_its_task_alone():
    encoder = toys.conv4()
    machine = NeuralTuringMachine(8, way=5, slots=6, width=3, heads=2, hidden=4, decay=0.9)
    z = nn.functional.normalize(encoder(toys.images(3)), dim=1)
    matrix, moment = machine.write(z, torch.eye(3))
    predictor = MachineRecall(encoder, machine, matrix, *moment, k=3)
    x = toys.images(2)
    whole = MemoryPredictor(encoder, machine, matrix=matrix, **moment._asdict())(x)
    assert whole.shape == (2, 5)
    torch.testing.assert_close(predictor(x), whole[:, :3])
    assert make(recipe(predictor)).k == 3


# The linear head of prototypes against distances in loops.


def test_it_decides_as_minus_the_scaled_squared_distance():
    z, y, queries = torch.randn(6, 4), torch.tensor([0, 1, 1, 0, 2, 1]), torch.randn(5, 4)
    weight, bias = prototype_head(z, one_hot(y, 3).float(), torch.tensor(0.7))
    for query in queries:
        slow = [-0.7 * ((query - z[y == c].mean(0)) ** 2).sum() for c in range(3)]
        odds = (query @ weight + bias).softmax(0)
        torch.testing.assert_close(odds, torch.stack(slow).softmax(0))


def test_it_is_not_in_half_precision():
    z, labels = torch.randn(6, 4), one_hot(torch.arange(6) % 3, 3).float()
    exact = prototype_head(z, labels, torch.tensor(0.7))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(
            prototype_head(z, labels, torch.tensor(0.7)), exact, rtol=0, atol=0
        )


# A reading: its reader's scores beside a linear head.


class Counter(Reader):
    """Scores the classes by the number in its memory, times 0, 1, 2, ..."""

    def remember(self, z, labels):
        return labels.sum()

    def on_features(self, z, memory):
        return memory * torch.arange(20.0).expand(len(z), -1)


def test_the_scores_are_the_readers_of_the_first_classes_and_the_linear_heads():
    encoder, x = toys.Projection(outputs=5), toys.images()
    weight, bias = torch.randn(5, 3), torch.randn(3)
    predictor = InContextPredictor(encoder, Counter(), torch.tensor(2.0), weight, bias)
    z = encoder(x)
    for i, scores in enumerate(predictor(x)):
        for c in range(3):
            torch.testing.assert_close(scores[c], 2.0 * c + z[i] @ weight[:, c] + bias[c])


def test_nothing_after_the_features_is_in_half_precision():
    weight, bias = torch.randn(32, 3), torch.randn(3)
    predictor = InContextPredictor(toys.Projection(), Counter(), torch.tensor(1.0), weight, bias)
    z = torch.randn(6, 32)
    exact = predictor.on_features(z)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(predictor.on_features(z), exact, rtol=0, atol=0)


def test_widened_features_have_a_mean_square_of_one_and_their_direction():
    z = torch.randn(3, 5)
    for wide, narrow in zip(widened(z), z, strict=True):
        torch.testing.assert_close(wide.square().mean(), torch.tensor(1.0))
        torch.testing.assert_close(wide / wide.norm(), narrow / narrow.norm())
