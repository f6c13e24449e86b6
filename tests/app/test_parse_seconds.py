"""Times as people type them."""

import pytest

from medshot.app.parse import seconds_of
from medshot.core.errors import ConfigError


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_a_time_is_read(text: str, seconds: float):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "0s", "-5m", "1e3s", "ten minutes", "5 m"])
def test_what_is_none_is_refused(text: str):
    with pytest.raises(ConfigError, match="is no time to spend"):
        seconds_of(text)
