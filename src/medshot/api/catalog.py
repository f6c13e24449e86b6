"""Lists of learners and encoders, and BibTeX of the methods used by a run or a model."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medshot.api.resolve import options_text
from medshot.core import (
    PARTS,
    TASKS,
    Card,
    ConfigError,
    Learner,
    Predictor,
    Table,
    Tabular,
    import_files,
    kinds_among,
    load_predictor,
    names,
    options_of,
    unknown,
)
from medshot.learners import registry
from medshot.learners.registry import learners, lookup
from medshot.nn.encoder import Encoder
from medshot.pretraining import is_encoder, load_encoder, objectives
from medshot.stages.base import Stage
from medshot.training.run import Run, is_run, load_run


@dataclass(frozen=True)
class Entry:
    """A learner or an encoder, by the name that every function and command takes."""

    name: str
    tasks: tuple[str, ...]  # kinds of task; of an encoder what it gives: features of image or pixel
    source: str  # author, year, identifier
    options: str  # with their defaults, as they are typed
    file: str = ""
    remarks: tuple[str, ...] = ()  # baseline, transductive


@dataclass(frozen=True)
class Catalog(Tabular):
    """Entries by name; `missing` are files whose package is not installed, and that package."""

    entries: tuple[Entry, ...]
    missing: dict[str, str]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __contains__(self, name: object) -> bool:
        return any(entry.name == name for entry in self.entries)

    def __getitem__(self, name: str) -> Entry:
        """The entry called `name`."""
        found = {entry.name: entry for entry in self.entries}
        if name not in found:
            raise unknown(name, found, kind="entry")
        return found[name]

    def table(self) -> Table:
        """A row an entry."""
        rows = ((each.name, ", ".join(each.tasks), each.source) for each in self.entries)
        return Table("", ("name", "for", "source"), tuple(rows))


def list_learners(task: str | None = None) -> Catalog:
    """The learners, all of them or those for one kind of task: `list_learners("segmentation")`.

    Raises:
        ConfigError: there is no such kind of task.
    """
    found = registry.learners()
    if task is not None and task not in TASKS:
        raise unknown(task, TASKS, kind="task")
    entries = []
    for name, cls in found.items():
        kinds = kinds_among(cls.supports)
        is_so = {"baseline": not cls.trainable, "transductive": cls.transductive}
        remarks = tuple(remark for remark, so in is_so.items() if so)
        entry = Entry(name, kinds, cls.source, options_text(cls), registry.file_of(cls), remarks)
        entries += [entry] if task is None or task in kinds else []
    return Catalog(
        tuple(entries), {file: str(error.name) for file, error in registry.missing().items()}
    )


def list_encoders() -> Catalog:
    """The encoders that come with medshot, with the options that they take."""
    absent = import_files("medshot.nn")
    entries = []
    for name in names("encoder"):
        cls = PARTS[f"encoder/{name}"]
        gives = "each pixel" if getattr(cls, "keeps_grid", False) is True else "whole images"
        options = " ".join(f"{o}={p.default}" for o, p in options_of(cls).items())
        entries.append(Entry(name, (gives,), str(getattr(cls, "source", "")), options))
    return Catalog(tuple(entries), {file: str(error.name) for file, error in absent.items()})


Citable = str | Path | Predictor | Run | Learner | Encoder

STAGES = {
    "select": "Tsamardinos et al. 2018; Bergstra et al. 2011; Pfisterer et al. 2021, "
    "arXiv:1811.09409",
    **{name: cls.source for name, cls in Stage.known().items() if cls.source},
}
WAYS = {  # of hardening, and of fusing
    "fgsm": "Goodfellow et al. 2015, arXiv:1412.6572; Wong et al. 2020, arXiv:2001.03994",
    "pgd": "Madry et al. 2018, arXiv:1706.06083",
    "weighted": "Breiman 1996",
    "stack": "Wolpert 1992",
    "soup": "Wortsman et al. 2022, arXiv:2203.05482",
    "greedy-soup": "Wortsman et al. 2022, arXiv:2203.05482",
    "snapshots": "Huang et al. 2017, arXiv:1704.00109",
}


def sources_of(stage: Mapping[str, Any]) -> Iterator[str]:
    """The papers of one stage of a card: those that it says itself, and those of our stages."""
    yield str(stage.get("source", ""))
    yield STAGES.get(str(stage["stage"]), "")
    yield WAYS.get(str(stage.get("attack") or stage.get("how")), "")


REFERENCES = Path(__file__).with_name("references.bib")
OURS = """@software{medshot,
  author = {{The medshot authors}},
  title = {medshot: meta-learning for medical images},
  year = {2026},
}
"""
ADAM = "Kingma & Ba 2015, arXiv:1412.6980"
NORMS = {
    "group": "Wu & He 2018, arXiv:1803.08494",
    "batch": "Ioffe & Szegedy 2015, arXiv:1502.03167",
    "transductive": "Ioffe & Szegedy 2015, arXiv:1502.03167",
}


def bibtex(*given: Citable) -> str:
    """The entries for what each of `given` is made of: learner, encoder, optimizer, stages.

    Each is a learner's name, the folder of a run, an encoder or a model, or one of these objects.

    Raises:
        ConfigError: it is none of these.
    """
    found = (part for each in given for text in _sources(each) for part in _parts(text))
    return "\n".join([OURS, *dict.fromkeys(entry(source) for source in dict.fromkeys(found))])


def entry(source: str) -> str:
    """The entry of one `source` ("Snell et al. 2017, arXiv:1703.05175"): stored, or made of it."""
    stored = _stored()
    if number := re.search(r"arXiv:(\S+)", source):
        for text in stored.values():
            if f"{{{number[1]}}}" in text:
                return text
    if key := _key(source):
        if key in stored:
            return stored[key]
        eprint = f"  eprint = {{{number[1]}}},\n  archiveprefix = {{arXiv}},\n" if number else ""
        return f"@misc{{{key},\n  note = {{{source}}},\n{eprint}}}\n"
    return f"% {source}\n"


def _sources(given: Citable) -> Iterator[str]:
    if isinstance(given, str | Path):
        yield from _of_name(str(given))
    elif isinstance(given, Run):
        yield from _of_learner(given.learner)
        yield from given.about.get("cite", [])
        yield ADAM
    elif isinstance(given, Predictor):
        yield from _of_card(given.known_card())
    elif isinstance(given, Learner):
        yield from _of_learner(given)
    else:
        yield from _of_encoder(given)


def _of_name(given: str) -> Iterator[str]:
    if is_run(given):
        yield from _sources(load_run(given))
    elif is_encoder(given):
        yield from _of_encoder(load_encoder(given))
    elif (Path(given) / "predictor.json").exists():
        yield from _of_card(load_predictor(given).known_card())
    elif given in learners():
        yield lookup(given).source
    elif Path(given).exists():
        raise ConfigError(
            f"{given} is neither a run nor a saved model, nor an encoder. Give the folder of one."
        )
    else:
        raise unknown(given, learners(), kind="learner, and no folder of a run or model,")


def _of_card(card: Card) -> Iterator[str]:
    yield str(card.learner.get("source", ""))
    yield from _of_recipe(card.learner.get("learner", {}))
    yield from (source for stage in card.stages for source in sources_of(stage))
    yield from [ADAM] if "meta-trained" in str(card.learner.get("origin", "")) else []


def _of_encoder(encoder: Encoder) -> Iterator[str]:
    yield type(encoder).source
    objective = encoder.about.get("settings", {}).get("objective")
    yield from [objectives()[objective].source, ADAM] if objective in objectives() else []


def _of_learner(learner: Learner) -> Iterator[str]:
    yield type(learner).source
    if isinstance(learner.encoder, Encoder):
        yield type(learner.encoder).source
    yield NORMS.get(str(getattr(learner.encoder, "_recipe", {}).get("options", {}).get("norm")), "")


def _of_recipe(recipe: dict[str, Any]) -> Iterator[str]:
    encoder = recipe.get("options", {}).get("encoder")
    if isinstance(encoder, dict):
        names("encoder")
        yield getattr(PARTS.get(encoder.get("part", "")), "source", "")
        yield NORMS.get(str(encoder.get("options", {}).get("norm")), "")


def _parts(source: str) -> list[str]:
    return [part.strip() for part in source.split(";") if re.search(r"\b\d{4}\b", part)]


def _key(source: str) -> str:
    found = re.search(r"([A-Z][\w-]+)\D*?\b((?:19|20)\d\d)\b", source)
    return f"{found[1].lower()}{found[2]}" if found else ""


def _stored() -> dict[str, str]:
    entries = re.split(r"\n(?=@)", REFERENCES.read_text(encoding="utf-8"))
    return {re.match(r"@\w+\{(\S+),", e)[1]: e.rstrip() + "\n" for e in entries}  # type: ignore[index]
