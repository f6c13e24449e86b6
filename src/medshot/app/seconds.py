"""Times as people type them: `90s`, `10m`, `1.5h`."""

import math
import re

from medshot.core.errors import ConfigError

UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(text: str) -> float:
    """How many seconds `text` says.

    Raises:
        ConfigError: it is no time, or none at all.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not 0 < seconds < math.inf:
        raise ConfigError(f"{text!r} is no time to spend: say 90s, 10m or 2h.")
    return seconds
