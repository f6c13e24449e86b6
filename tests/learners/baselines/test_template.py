"""Templates: the mean crop of one box is that crop, and what looks so is found."""

import numpy as np
import torch

from medshot.core.episode import Examples
from medshot.learners import build
from medshot.learners.baselines.template import correlation, middle
from medshot.nn import encoder
from medshot.tasks import Detection
from toys import disks

INTENSITIES = {"channels": 1, "scaling": "unit"}


def test_the_template_of_one_box_on_the_grid_is_its_crop():
    x = torch.rand(1, 1, 16, 16)
    box = torch.tensor([[[2, 4, 7, 9, 0]]]) / torch.tensor([16, 16, 16, 16, 1])
    made = build("template", encoder=encoder("intensities", size=16, **INTENSITIES))
    predictor = made.adapt(Examples(x, box), Detection.of(1))
    torch.testing.assert_close(predictor.templates[0, 0], x[0, 0, 4:9, 2:7])
    middle = predictor.respond(x)[0, 0]
    assert divmod(int(middle.argmax()), 16) == (6, 4)
    torch.testing.assert_close(middle.max(), torch.tensor(1.0))


def test_dark_disks_are_found_among_bright_ones():
    support, query = disks.disks(4, seed=0), disks.disks(6, seed=1)
    made = encoder("intensities", channels=1, size=disks.SIDE)
    predictor = build("template", encoder=made).adapt(support, disks.TASK)
    assert disks.scores(predictor, query)["AP50"] > 0.9


# Normalised cross-correlation against NumPy's correlation coefficient, window by window.


def test_it_is_the_correlation_coefficient_of_each_window():
    rng = torch.Generator().manual_seed(0)
    z, template = torch.rand(2, 3, 9, 8, generator=rng), torch.rand(3, 3, 5, generator=rng)
    found = correlation(z, template)
    assert found.shape == (2, 1, 9, 8)
    wide = np.pad(z.numpy(), ((0, 0), (0, 0), (1, 1), (2, 2)), mode="edge")
    for i, y, x in ((0, 0, 0), (0, 4, 4), (1, 8, 7), (1, 3, 1)):
        window = wide[i, :, y : y + 3, x : x + 5]
        expected = np.corrcoef(window.ravel(), template.numpy().ravel())[0, 1]
        np.testing.assert_allclose(found[i, 0, y, x], expected, atol=1e-5)


def test_where_all_is_flat_nothing_is_found():
    flat, template = torch.full((1, 1, 8, 8), 0.7), torch.rand(1, 3, 3)
    assert correlation(flat, template).abs().max() == 0


def test_the_middle_of_a_picture():
    x = torch.arange(25.0).view(5, 5)
    assert middle(x, 1, 3).tolist() == [[11, 12, 13]]
