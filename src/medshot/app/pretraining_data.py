"""What `medshot pretrain` learns from: folders of images in the form of the encoder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medshot.app.choose import OF, parse_options
from medshot.app.options import checked
from medshot.app.show import busy, say
from medshot.core.errors import unknown
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.data.readers.registry import kind_of
from medshot.nn.encoder import Encoder
from medshot.pretraining import objectives
from medshot.pretraining.objective import Objective


def objective_options(
    name: str, given: Sequence[str]
) -> tuple[type[Objective], dict[str, Any], dict[str, Any]]:
    """The objective called `name`, its options, and those of the encoder."""
    table, options = objectives(), parse_options(given)
    if name not in table:
        raise unknown(name, table, kind="objective")
    of_encoder = {k.removeprefix(OF): v for k, v in options.items() if k.startswith(OF)}
    own = {k: v for k, v in options.items() if not k.startswith(OF)}
    return table[name], checked(own, table[name], f"option of {name!r}"), of_encoder


def pretraining_data(
    folders: Sequence[Path], task: str | None, encoder: Encoder, kind: type[Objective]
) -> list[Dataset]:
    """The images in each folder, and a line on each."""
    form: dict[str, Any] = {
        "channels": 3 if kind.colour else encoder.channels,
        "size": encoder.size,
    }
    with busy(f"reading {len(folders)} folder(s)"):
        sets = [load_one(folder, **form, task=kind_of(folder, task)) for folder in folders]
    for dataset in sets:
        left_out = "" if dataset in kind.usable(sets) else ", left out: they cannot teach this"
        say(f"{dataset.name}: {len(dataset)} images{left_out}")
    return sets
