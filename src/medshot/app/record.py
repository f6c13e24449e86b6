"""What `--json FILE` keeps: the numbers of a command."""

import json
import math
from pathlib import Path
from typing import Any

from medshot.app.show import tell
from medshot.core.atomic import write_text


def write_record(file: Path, record: dict[str, Any]) -> None:
    """Write `record` to `file`, and say so; what is not a number is null."""
    write_text(file, json.dumps(no_nan(record), indent=2, allow_nan=False) + "\n")
    tell(f"Written: {file}")


def no_nan(value: Any) -> Any:
    """`value` with null for what is not a number: JSON has no NaN."""
    if isinstance(value, dict):
        return {name: no_nan(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [no_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
