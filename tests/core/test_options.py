"""Options that are declared once: names, types, bounds and what a record holds."""

from dataclasses import dataclass

import pytest

from medshot.core.errors import ConfigError
from medshot.core.options import check_options, declared_options, option


@dataclass(frozen=True)
class Settings:
    batch_size: int = option("Images a step.", default=8, min=2, max=64)
    lr: float | None = option("Rate.", default=None, above=0, recorded=False)
    method: str = option("How.", default="a", choices=("a", "b"))
    set_: dict[str, int] = option("Further.", default={})  # noqa: RUF009  (each gets a copy)
    network: object = None  # no option


def test_fields_become_options_in_order_with_their_types_and_words():
    found = declared_options(Settings)
    assert [each.word for each in found] == ["--batch-size", "--lr", "--method", "--set"]
    assert [each.type for each in found] == [int, float, str, dict]
    assert [each.default for each in found] == [8, None, "a", {}]
    assert [each.recorded for each in found] == [True, False, True, True]
    assert Settings().set_ is not Settings().set_


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch_size": 1}, "batch_size=1 must be at least 2"),
        ({"batch_size": 65}, "at most 64"),
        ({"lr": 0.0}, "lr=0.0 must be above 0"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"lr": float("inf")}, "finite"),
        ({"method": "c"}, "value of --method called 'c'"),
    ],
)
def test_values_out_of_bounds_are_refused_by_name(given, said):
    with pytest.raises(ConfigError, match=said):
        check_options(Settings(**given))


def test_values_within_bounds_and_those_not_given_are_taken():
    check_options(Settings(batch_size=2, lr=1e-3, method="b"))
    check_options(Settings())
