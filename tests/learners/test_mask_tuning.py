"""Fine-tuning of a mask refiner on few images."""

import torch
import torch.nn.functional as F

from medshot.learners.amortized.stacked_masks import packaged_refiner
from medshot.learners.mask_tuning import Cases, fine_tune
from medshot.nn.mask_refiner import UNKNOWN


def test_a_member_that_is_always_right_is_learned():
    """Margins of the first member are the truth, the others noise; the package trusts all."""
    cases = made(0)
    start = packaged_refiner()
    first = loss(start, cases)
    tuned = fine_tune(start, cases, 20)
    assert loss(tuned, cases) < first
    assert loss(tuned, made(1)) < loss(start, made(1))


def test_it_is_repeatable_and_leaves_the_start_alone():
    cases, start = made(0), packaged_refiner()
    before = {name: each.clone() for name, each in start.state_dict().items()}
    one, two = (fine_tune(start, cases, 2) for _ in range(2))
    for name, each in start.state_dict().items():
        torch.testing.assert_close(each, before[name])
        torch.testing.assert_close(one.state_dict()[name], two.state_dict()[name])


def test_unknown_pixels_do_not_count():
    cases = made(0)
    hidden = cases.y.clone()
    hidden[:] = -1
    tuned = fine_tune(packaged_refiner(), cases._replace(y=hidden), 2)
    assert all(each.isfinite().all() for each in tuned.state_dict().values())


def made(seed: int) -> Cases:
    rng = torch.Generator().manual_seed(seed)
    y = torch.zeros(3, 64, 64, dtype=torch.long)
    for i, (row, column) in enumerate(torch.randint(8, 40, (3, 2), generator=rng).tolist()):
        y[i, row : row + 16, column : column + 16] = 1
    margins = torch.randn(3, 1, 6, 64, 64, generator=rng)
    margins[:, 0, 0] = 2.0 * y - 1
    image = torch.randn(3, 25, 64, 64, generator=rng)
    numbers = torch.tensor([[0.4, -0.1], [0.4, -0.7]])
    return Cases(margins, image, y, F.pad(numbers, (0, 6), value=UNKNOWN))


def loss(net, cases: Cases) -> float:
    with torch.no_grad():
        numbers = cases.numbers[1].expand(3, -1)
        logits = net(cases.margins[:, 0], cases.image, numbers)
    return float(torch.nn.functional.binary_cross_entropy_with_logits(logits, cases.y.float()))
