"""Pairs of volumes as nnU-Net, the Medical Segmentation Decathlon and MONAI list them.

Sources: https://github.com/MIC-DKFZ/nnUNet (documentation/dataset_format.md): imagesTr, labelsTr
and dataset.json, `case_0000.nii.gz` for the first channel of `case.nii.gz`; Antonelli et al. 2022,
Nature Communications 13, 4128; and `monai.data.load_decathlon_datalist`.
"""

import re
from pathlib import Path
from typing import Any

from medshot.data.checks.issue import Issue
from medshot.data.checks.stray_masks import stem_of
from medshot.data.io.registry import volume_suffix
from medshot.data.layouts.content import (
    LABEL,
    MASK,
    Content,
    Listing,
    bad,
    classes_said,
    counted,
    text_of,
)
from medshot.data.layouts.regions import SAID
from medshot.data.tables.labels import Row

JSON = "dataset.json"
IGNORE = "ignore"  # label of nnU-Net for what is not labeled
HOMES = ("imagesTr", "labelsTr")
CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
ONE = "One channel is read: keep the files of one, or list them in labels.csv (path,mask)."


def decathlon(listing: Listing) -> Content | None:
    """Content of a folder with imagesTr and labelsTr."""
    if not _has_pairs(listing.folder):
        return None
    homes = [listing.folder / name for name in HOMES]
    images, labels = (
        {stem_of(f): f for f in listing.files if f.parent == home and _is_read(f, listing)}
        for home in homes
    )
    source = listing.folder / JSON
    said = listing.json(source, required=True) if source.is_file() else {}
    said = said if isinstance(said, dict) else {}
    channels: dict[str, list[Path]] = {}
    for stem, path in images.items():
        found = None if stem in labels else CHANNEL.fullmatch(stem)
        channels.setdefault(found["case"] if found else stem, []).append(path)
    if several := next((c for c in sorted(channels) if len(channels[c]) > 1), None):
        names = said.get("channel_names") or said.get("modality") or {}
        names = ", ".join(map(str, names.values())) if isinstance(names, dict) else ""
        what = f"the case {several} has {len(channels[several])} channels"
        raise bad(homes[0], f"{what} ({names})" if names else what, ONE)
    alone = sorted(set(labels) - set(channels))
    if alone or not labels:
        what = f"{alone[0]} has no image" if alone else "it holds no volume"
        raise bad(labels[alone[0]] if alone else homes[1], what, "Copy both, or leave it out.")
    rows = [Row(channels[case][0], "", mask=labels[case]) for case in sorted(labels)]
    issues = _without(sorted(set(channels) - set(labels)), homes[0])
    labels = said.get("labels")
    ignored = labels.get(IGNORE) if isinstance(labels, dict) else None
    if ignored is not None and (isinstance(ignored, bool) or not isinstance(ignored, int)):
        raise bad(source, f"the label {IGNORE} is {ignored!r}", "Give it a number.")
    names = _names(labels, source)
    kind = "nnU-Net" if said.get("file_ending") or said.get("channel_names") else "Decathlon"
    return _content(f"{kind} (imagesTr, labelsTr)", source, rows, names, issues, ignored)


def _has_pairs(folder: Path) -> bool:
    return all((folder / name).is_dir() for name in HOMES)


def _is_read(path: Path, listing: Listing) -> bool:
    return volume_suffix(path) is not None or path in listing.images


def _without(cases: list[str], home: Path) -> list[Issue]:
    if not cases:
        return []
    names = ", ".join(cases[:SAID]) + (", ..." if cases[SAID:] else "")
    what = f"{counted(len(cases), 'case')} without a label left out ({names})"
    return [Issue("warning", home, None, what, "Add the labels if there are any.")]


def _names(labels: Any, source: Path) -> tuple[str, ...]:
    """Names of the classes 1, 2, ... in either direction: {"1": "liver"} or {"liver": 1}."""
    if not isinstance(labels, dict):
        return ()
    if any(isinstance(value, list) for value in labels.values()):
        return ()  # regions of several labels: classes are called by their numbers
    found: dict[int, str] = {}
    for key, value in labels.items():
        number, name = (value, key) if isinstance(value, int) else (key, value)
        if str(number).isdigit() and name != IGNORE:
            found[int(number)] = text_of(name, source, f"label {number}")
    wanted = range(1, max(found, default=0) + 1)
    return tuple(found.get(c, str(c)) for c in wanted)


def datalist(listing: Listing) -> Content | None:
    """Content of a folder with a list of MONAI: {"training": [{"image": ..., "label": ...}]}."""
    for path in listing.with_suffix(".json"):
        listed = path.parent == listing.folder and not _has_pairs(listing.folder)
        said = listing.json(path) if listed else None
        if not isinstance(said, dict):
            continue
        given = said.get("training")
        if isinstance(given, list) and given and all(isinstance(e, dict) for e in given):
            return _listed(path, said, given, listing)
    return None


def _listed(
    path: Path, said: dict[str, Any], given: list[dict[str, Any]], listing: Listing
) -> Content:
    rows = []
    for n, each in enumerate(given, 1):
        where = f"training item {n}"
        image, label = each.get("image"), each.get("label", each.get("mask"))
        if isinstance(image, list):
            if len(image) != 1:
                raise bad(path, f"{where} has {len(image)} images", ONE)
            image = image[0]
        if label is None:
            raise bad(path, f"{where} has no label", "Name its mask, or take it out.")
        at = listing.find(image, path)
        if isinstance(label, str) and ("/" in label or "." in label):
            rows.append(Row(at, "", mask=listing.find(label, path)))
        else:
            rows.append(Row(at, text_of(label, path, where)))
    target = MASK if all(row.mask for row in rows) else LABEL
    if target == LABEL and (any(r.mask for r in rows) or any(volume_suffix(r.path) for r in rows)):
        what = "labels of volumes are not read, masks of volumes are"
        raise bad(path, what, "Name a mask as the label of each volume.")
    if target == LABEL:
        classes = classes_said(sorted({row.label for row in rows}))
        line = f"read as MONAI list: {counted(len(rows), 'image')}, {classes} from {path.name}"
        return Content("MONAI list", path, line, {LABEL: rows})
    left = [k for k in ("validation", "test", "testing") if said.get(k)]
    issues = []
    if left:
        what = f"of {path.name} only training is read; left out: {', '.join(left)}"
        issues = [Issue("warning", path, None, what, "List them in a folder of their own.")]
    return _content("MONAI list", path, rows, _names(said.get("labels"), path), issues)


def _content(
    layout: str,
    source: Path,
    rows: list[Row],
    names: tuple[str, ...],
    issues: list[Issue],
    unlabeled: int | None = None,
) -> Content:
    what = "volume" if volume_suffix(rows[0].path) else "image"
    line = f"read as {layout}: {counted(len(rows), what)} with a mask each"
    line += f", {classes_said(names)}" if names else ""
    line += f" from {source.name}" if source.is_file() else ""
    line += "" if unlabeled is None else f", {unlabeled} is not labeled"
    return Content(
        layout,
        source,
        line,
        {MASK: rows},
        names=names,
        unlabeled=unlabeled,
        issues=tuple(issues),
    )
