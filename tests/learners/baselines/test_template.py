"""Templates: the mean crop of one box is that crop, and what looks so is found."""

import torch

from medshot.core.episode import Examples
from medshot.learners import build
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
