"""What `medshot train` learns from and is validated on: folders, or phantoms that are drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medshot.app.show import busy, say
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.data.phantoms import PhantomEpisodes, PhantomMasks, PhantomVolumes
from medshot.tasks import Segmentation
from medshot.training.sources import Given

PHANTOMS = Path("phantoms")


def training_data(
    data: Sequence[Path], kind: str, learner: Learner, *, way: int, shot: int, query: int, seed: int
) -> tuple[Given, Given | None]:
    """What to learn from, and what to validate on where it is not a part of that; says which."""
    form: dict[str, Any] = {n: getattr(learner.encoder, n) for n in ("channels", "size")}
    if list(data) == [PHANTOMS] and not PHANTOMS.exists():
        say("Phantoms are drawn: endless tasks to learn from, and others for validation.")
        taught, judged = (_phantoms(kind, way, shot, query, seed + i, **form) for i in (0, 1))
        return taught, judged
    with busy(f"reading {len(data)} folder(s)"):
        sets = [load_one(folder, **form, task=kind) for folder in data]
    _say_what_is_there(sets)
    say("A fifth of the classes, or of the patients (or images), is held out for validation.")
    return (sets[0] if len(sets) == 1 else sets), None


def _phantoms(
    kind: str, way: int, shot: int, query: int, seed: int, *, channels: int, size: int | None
) -> PhantomMasks | PhantomVolumes | PhantomEpisodes:
    if size is None:
        return PhantomVolumes(shot, query, seed=seed)
    if kind == Segmentation.kind:
        return PhantomMasks(shot, query, size, channels, seed=seed)
    if channels != 3:
        raise ConfigError(
            f"Phantoms with labels have 3 channels, and the encoder takes {channels}: leave out "
            "--set encoder.channels."
        )
    return PhantomEpisodes(way, shot, query, size, seed=seed)


def _say_what_is_there(sets: list[Dataset]) -> None:
    for dataset in sets:
        counts = ", ".join(f"{label} {n}" for label, n in list(dataset.counts().items())[:12])
        more = ", ..." if len(dataset.labels) > 12 else ""
        say(f"{dataset.name}: {len(dataset)} images ({counts}{more})")
        for note in dataset.notes:
            say(note, start="    ")
