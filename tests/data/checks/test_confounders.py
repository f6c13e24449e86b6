import numpy as np
import pytest

from medshot.data.checks.confounders import Look, auroc, shortcuts

PLAIN = {"height": 64, "width": 64, "bits": 8, "colour": False, "kind": ".png", "digest": ""}


def looks(n: int, **other: object) -> list[Look]:
    return [Look(**(PLAIN | other)) for _ in range(n)]


@pytest.mark.parametrize(
    ("name", "other", "said"),
    [
        ("size", {"height": 512, "width": 512}, "long side 512 against long side 64"),
        ("shape", {"width": 48}, "width/height 0.75 against width/height 1.00"),
        ("depth", {"bits": 16}, "16 bits against 8 bits"),
        ("colour", {"colour": True}, "100% in colour against 0% in colour"),
        ("file kind", {"kind": ".jpg"}, "100% JPEG against 0% JPEG"),
    ],
)
@pytest.mark.parametrize("n", [2, 20])
def test_a_class_of_another_form(name: str, other: dict[str, object], said: str, n: int) -> None:
    labels = ["x"] * n + ["y"] * n + ["z"] * n
    (found,) = shortcuts(labels, looks(n) + looks(n, **other) + looks(n))
    assert found.severity == "warning"
    assert f"the {name} of the images tells class 'y'" in found.what
    assert said in found.what
    assert "1.00" in found.what


def test_the_same_mixture_everywhere_is_no_shortcut() -> None:
    mixed = looks(10) + looks(10, colour=True, kind=".jpg", bits=16)
    assert shortcuts(["x"] * 20 + ["y"] * 20, mixed + mixed) == []
    assert shortcuts(["x", "y"], looks(1) + looks(1, bits=16)) == []  # one image says nothing
    assert shortcuts(["x"] * 9, looks(4) + looks(5, bits=16)) == []
    assert shortcuts([], []) == []


def test_sizes_at_random_seldom_alarm() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        sides = rng.integers(50, 500, 20)
        drawn = [look for side in sides for look in looks(1, height=int(side), width=int(side))]
        alarms += bool(shortcuts(["x"] * 10 + ["y"] * 10, drawn))
    assert alarms <= 4


def test_auroc_is_a_count_of_pairs() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 5, 12).astype(float), rng.integers(1, 7, 9).astype(float)
    pairs = [(x > y) + 0.5 * (x == y) for x in a for y in b]
    assert auroc(a, b) == pytest.approx(sum(pairs) / len(pairs))
