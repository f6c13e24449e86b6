"""int8: answers near those before, a file, a quarter of the bytes; and what cannot be quantised."""

import pytest
import torch

import toys
from medshot.core.episode import Examples
from medshot.core.errors import ConfigError, DataError, ShapeError, TaskError
from medshot.core.predictor import load_predictor
from medshot.learners import build
from medshot.nn import Conv4, UNet
from medshot.nn.onnx import Graph
from medshot.stages.compress import quantize as quantising
from medshot.stages.compress.quantize import quantize
from medshot.tasks import Segmentation

SOUND = torch.rand(4, 1, toys.SIZE, toys.SIZE)


@pytest.fixture(scope="module")
def case():
    """A classifier that knows its toy well, its card, and the same quantised."""
    torch.manual_seed(0)
    task = toys.task_of("classification")
    ep = toys.episode(task, shots=20, queries=40)
    encoder = Conv4(channels=1, size=toys.SIZE, width=32, halvings=1).eval()
    learner = build("finetune", encoder=encoder, steps=30, lr=3e-3)
    whole = learner.adapt(ep.support, task).freeze().with_card(toys.card(3))
    return ep, whole, quantize(whole, ep.support)


def test_it_answers_nearly_as_before_and_the_card_says_how_nearly(case):
    ep, whole, small = case
    assert toys.accuracy(whole, ep.query) > 0.6
    assert abs(toys.accuracy(small, ep.query) - toys.accuracy(whole, ep.query)) < 0.05
    found, expected = small(ep.support.x), whole(ep.support.x)
    moved = (found - expected).square().mean().sqrt() / expected.std()
    assert 1e-4 < moved < 0.1
    stage = small.card.stages[-1]
    assert stage == {"stage": "quantise", "to": "int8", "images": 60, "moved": stage["moved"]}
    assert stage["moved"] == pytest.approx(float(moved), abs=1e-4)


def test_it_is_smaller_and_leaves_the_original_alone(case):
    _, whole, small = case
    before = sum(t.nbytes for t in whole.state_dict().values())
    assert small.graph.numel() < 0.6 * before  # small as it is, names weigh as much as numbers
    assert not isinstance(whole, Graph)
    assert whole.card.stages == ()


def test_one_image_gets_the_answer_that_it_gets_among_others(case):
    ep, _, small = case
    alone = torch.cat([small(x[None]) for x in ep.query.x[:5]])
    torch.testing.assert_close(alone, small(ep.query.x)[:5], atol=1e-5, rtol=1e-5)


def test_a_file_gives_the_same_numbers(case, tmp_path):
    ep, _, small = case
    small.save(tmp_path / "model")
    loaded = load_predictor(tmp_path / "model")
    torch.testing.assert_close(loaded(ep.query.x), small(ep.query.x), rtol=0, atol=0)
    assert "Then: quantise, to int8" in (tmp_path / "model" / "README.md").read_text()


def test_masks_are_nearly_those_before():
    support, query = _bright_squares(8), _bright_squares(20)
    most = (query.y == 0).double().mean().item()  # for who finds nothing
    plain = UNet(channels=1, size=toys.SIZE, width=8, depth=1, norm="none", scaling="unit")
    learner = build("finetune", encoder=plain.eval(), steps=40, lr=1e-2)
    whole = learner.adapt(support, Segmentation(2)).freeze()
    small = quantize(whole, support)
    assert most < 0.8
    assert toys.accuracy(whole, query) > 0.9
    assert toys.accuracy(small, query) > 0.9


def test_answers_that_would_be_others_are_refused():
    close = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    assert quantising._moved(close, close) == 0
    with pytest.raises(TaskError, match=r"move by 1\.55 of their own deviation"):
        quantising._moved(close, close + 2)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (SOUND[:1], "calibrated on 1 different"),
        (SOUND[:1].expand(9, -1, -1, -1), "calibrated on 1 different"),
        (SOUND[:0], "calibrated on 0 different"),
        (torch.cat([SOUND, torch.ones_like(SOUND[:1])]), r"number 4 have the same value"),
        (SOUND / 0, "NaN or infinity"),
    ],
)
def test_images_that_say_nothing_of_ranges_are_refused(x, said):
    with pytest.raises(DataError, match=said):
        quantize(_prototypes(), _examples(x))


def test_images_of_another_form_are_refused():
    with pytest.raises(ShapeError, match=r"images of 1 x 16 x 16"):
        quantize(_prototypes(), _examples(torch.rand(4, 1, 9, 9)))


def test_what_has_no_convolution_or_is_quantised_already_is_refused(case):
    ep, _, small = case
    with pytest.raises(TaskError, match="quantised already"):
        quantize(small, ep.support)
    plain = build("nearest-centroid", encoder=toys.Projection()).adapt(ep.support, ep.task)
    with pytest.raises(TaskError, match="no convolution"):
        quantize(plain, ep.support)


def test_transductive_predictors_and_other_types_are_refused():
    with pytest.raises(TaskError, match="reads the images of a batch together"):
        quantize(_prototypes(norm="transductive"), _examples(SOUND))
    with pytest.raises(ConfigError, match=r"no type to quantise to called 'int4'.*int8"):
        quantize(_prototypes(), _examples(SOUND), to="int4")


def _bright_squares(n):
    """A square somewhere on each image, brighter than the noise around it."""
    y = torch.zeros(n, toys.SIZE, toys.SIZE, dtype=torch.int64)
    for image, (top, left) in zip(y, torch.randint(8, (n, 2)).tolist(), strict=True):
        image[top : top + 8, left : left + 8] = 1
    return Examples(0.7 * y[:, None] + 0.3 * torch.rand(n, 1, toys.SIZE, toys.SIZE), y)


def _prototypes(**options):
    ep = toys.episode(toys.task_of("classification"))
    return build("nearest-centroid", encoder=toys.conv4(**options)).adapt(ep.support, ep.task)


def _examples(x):
    return Examples(x, torch.zeros(len(x), dtype=torch.int64))
