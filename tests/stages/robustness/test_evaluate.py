"""Measuring under attack: which attacks, what they leave, and where a loss has no slope."""

import re
from contextlib import contextmanager
from xml.etree import ElementTree

import pytest
import torch

import toys
from medshot.core.errors import ConfigError
from medshot.core.predictor import Predictor
from medshot.evaluation.statistics import Interval
from medshot.learners.registry import build
from medshot.stages.robustness.attacks import FGSM, PGD, Square
from medshot.stages.robustness.evaluate import HEIGHT, WIDTH, curve, flat_share, robustness, verdict
from medshot.stages.robustness.threat_model import ThreatModel


def model():
    data = toys.dataset(k=2, shots=6)
    return build("linear-probe", encoder=toys.conv4()).adapt(data), data


def test_each_budget_has_its_attacks_and_the_largest_the_checks(monkeypatch):
    monkeypatch.setattr("medshot.evaluation.cross_validation.DRAWS", 20)
    predictor, data = model()
    budgets = [ThreatModel(16 / 255), ThreatModel(2 / 255)]
    ticks = []

    @contextmanager
    def watch(total, done):
        ticks.append((total, done))
        yield lambda step, row: ticks.append(step)

    found = robustness(predictor, data, budgets, steps=3, queries=10, watch=watch)
    said = [(str(row.attack), str(row.attack.budget)) for row in found.attacked]
    assert said == [
        *[("FGSM", "2/255"), ("PGD-3", "2/255"), ("FGSM", "16/255"), ("PGD-3", "16/255")],
        *[("PGD-12", "16/255"), ("square-10", "16/255")],
    ]
    passes = [row.attack.passes for row in found.attacked]
    assert ticks == [(sum(passes), 0), *torch.tensor(passes).cumsum(0).tolist()]
    accuracy = {row: found.by(row)[-1].answers.interval("accuracy").mean for row in (FGSM, PGD)}
    clean = found.clean.interval("accuracy").mean
    assert accuracy[PGD] <= accuracy[FGSM] < clean
    record = found.to_json()
    assert record["attacked"][0]["accuracy"]["mean"] == pytest.approx(
        found.by(FGSM)[0].answers.interval("accuracy").mean
    )
    assert len(found.by(Square)) == 1


class Whole(Predictor):
    """Answers in whole numbers: no gradient comes back."""

    def forward(self, x):
        sums = (255 * x).to(torch.int64).flatten(1).sum(1)
        return torch.stack([sums % 7, sums % 3], 1).float()


def test_without_a_gradient_the_square_attack_is_what_remains():
    known, data = model()
    whole = Whole().with_card(known.known_card())
    budgets = [ThreatModel(16 / 255), ThreatModel(2 / 255)]
    found = robustness(whole, data, budgets, queries=5)
    said = [(str(row.attack), str(row.attack.budget)) for row in found.attacked]
    assert said == [("square-5", "2/255"), ("square-5", "16/255")]
    assert found.flat is None
    assert "square attack alone" in verdict(found)


def test_what_is_answered_is_the_attacked_image():
    predictor, data = model()
    budget = ThreatModel(16 / 255)
    (row,) = robustness(predictor, data, [budget], checks=False).attacked
    task, shown = predictor.known_card().task, data.examples()
    x = PGD(budget)(predictor, task, shown)
    expected = task.decode(predictor(x).double())
    torch.testing.assert_close(torch.from_numpy(row.answers.decoded), expected)


class Saturated(Predictor):
    """So sure of bright images that nothing changes the loss."""

    def __init__(self):
        super().__init__()
        self.register_buffer("gain", torch.tensor(1e4))

    def forward(self, x):
        mean = x.flatten(1).mean(1)
        return torch.stack([torch.zeros_like(mean), self.gain * (mean - 0.5).clamp(min=0)], 1)


def test_images_without_a_slope_are_counted():
    _, data = model()
    x = data.x.clone()
    x[:3], x[3:] = 255, 0
    x[-1] = 128
    y = torch.ones_like(data.y)
    y[-1] = 0  # wrong, so that there is a way up
    data = type(data)(data.name, x, y, data.labels, data.groups, data.preprocessing, data.hash)
    predictor = Saturated().with_card(toys.card(2))
    assert flat_share(predictor, data) == pytest.approx(11 / 12)


def test_an_epsilon_beyond_the_images_is_refused():
    predictor, data = model()
    with pytest.raises(ConfigError, match="256 values are at most 16 apart"):
        robustness(predictor, data, [ThreatModel(17.0, "l2")], checks=False)


# The plot: every point where it belongs, names written and not obeyed.


LINE = [
    ("0", 0.0, Interval(1.0, 0.9, 1.0, 10)),
    ("4/255", 4 / 255, Interval(0.5, 0.4, 0.6, 10)),
    ("8/255", 8 / 255, Interval(0.0, 0.0, 0.1, 10)),
]


def _points(svg: str) -> list[list[float]]:
    lines = re.findall(r'polyline points="([^"]+)"', svg)
    return [[float(v) for pair in line.split() for v in pair.split(",")] for line in lines]


def test_points_lie_where_their_numbers_are():
    (found,) = _points(curve({"PGD": LINE}, "accuracy"))
    assert found == [0, 0, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT]


def test_it_is_one_whole_svg_with_every_name_and_epsilon():
    svg = curve({"a <b> & c": LINE, "other": LINE}, "accuracy", "title")
    texts = [e.text for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("text")]
    for word in ("a <b> & c", "other", "accuracy", "title", "epsilon", "0", "4/255", "8/255"):
        assert word in texts
    assert len(_points(svg)) == 2
    assert svg == curve({"a <b> & c": LINE, "other": LINE}, "accuracy", "title")


def test_scores_below_zero_widen_the_frame():
    low = [LINE[0], ("4/255", 4 / 255, Interval(-1.0, -1.5, -0.5, 10))]
    (found,) = _points(curve({"R2": low}, "R2"))
    assert found[3] == pytest.approx(HEIGHT * 2 / 2.5)
    assert found[3] < HEIGHT


def test_nothing_to_draw_is_refused():
    with pytest.raises(ConfigError, match="epsilon above 0"):
        curve({"PGD": LINE[:1]}, "accuracy")
