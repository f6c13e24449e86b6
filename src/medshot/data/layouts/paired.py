"""Masks of images by their names: beside them, or in folders `images` and `masks`."""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from medshot.core import DataError
from medshot.data.checks.stray_masks import (
    WORDS,
    are_masks,
    distinct,
    looks_like_mask,
    masks_by_suffix,
    stem_of,
    unmasked,
)
from medshot.data.io.image import stored
from medshot.data.io.registry import volume_suffix
from medshot.data.layouts.content import (
    MASK,
    Content,
    DrawnRow,
    Listing,
    bad,
    classes_said,
    counted,
)
from medshot.data.layouts.parts import PARTS, part_of, training_part
from medshot.data.layouts.regions import unmarked
from medshot.data.tables.labels import Row

VOC = "segmentationclass"  # masks of Pascal VOC, in which 255 is the border between objects
VOID = 255
FOLDER = re.compile(rf"(?:.*[ _.\-])?(?:{WORDS}|1st_manual|{VOC})", re.I)
IMAGES = re.compile(
    r"(?:.*[ _.\-])?(?:images?|imgs?|jpegimages|photos?|scans?|inputs?|originals?)", re.I
)
SEPARATORS = " _.-"


def paired(listing: Listing) -> Content | None:
    """Content of a folder with folders of masks for its images, or masks beside them."""
    files = [f for f in listing.files if f in set(listing.images) or volume_suffix(f)]
    homes = {f: home for f in files if (home := _mask_home(f, listing.folder))}
    if homes:
        return _in_folders(files, homes, listing)
    top = {f.relative_to(listing.folder).parts[0] for f in files if f.parent != listing.folder}
    if (
        len(top) > 1
        and not top <= set(PARTS)
        and not any(f.parent == listing.folder for f in files)
    ):
        return None  # folders of classes
    return paired_by_name(files, listing)


def paired_by_name(files: Sequence[Path], listing: Listing) -> Content | None:
    """Content of images with `x_mask.png`, or `x_liver.png` and `x_spleen.png`, beside `x.png`."""
    pairs = masks_by_suffix(files)
    if not pairs or not are_masks(pairs):
        pairs = _structures_by_suffix(files)
    if not pairs:
        return None
    images = sorted(set(files) - set(pairs))
    found = {mask: (image, _structure(mask, image)) for mask, image in pairs.items()}
    return _content(images, found, listing, {})


def _structures_by_suffix(files: Sequence[Path]) -> dict[Path, Path]:
    """Files named as another one with a word after it, if all of them are black and white."""
    stems = {(f.parent, stem_of(f).casefold()): f for f in files}
    found: dict[Path, Path] = {}
    for path in files:
        stem = stem_of(path).casefold()
        for i in range(len(stem) - 1, 0, -1):
            other = stems.get((path.parent, stem[:i]))
            if stem[i] in SEPARATORS and other and not stem[i + 1 :].isdigit():
                found[path] = other
                break
    if not found or any(volume_suffix(path) for path in found):
        return {}
    with ThreadPoolExecutor() as pool:
        binary = list(pool.map(lambda m: _is_binary(m) and looks_like_mask(m, found[m]), found))
    return found if all(binary) and not set(found) & set(found.values()) else {}


def _is_binary(path: Path) -> bool:
    try:
        values = stored(path, palette=True)
    except DataError:
        return False
    found = distinct(values)
    black = found == 0 if found.ndim == 1 else (found == 0).all(1)
    return len(found) <= 2 and bool(black.any())


def _mask_home(path: Path, folder: Path) -> Path | None:
    """The folder of masks that a file is in, if any."""
    for parent in path.relative_to(folder).parents:
        if parent.name and FOLDER.fullmatch(parent.name):
            return folder / parent
    return None


def _in_folders(
    files: Sequence[Path], homes: Mapping[Path, Path], listing: Listing
) -> Content | None:
    images = [f for f in files if f not in homes]
    if not images:
        return None
    by_stem: dict[str, list[Path]] = {}
    for image in images:
        by_stem.setdefault(stem_of(image).casefold(), []).append(image)
    found: dict[Path, tuple[Path, str]] = {}
    alone = []
    for mask, home in homes.items():
        image, structure = _partner(mask, home, by_stem, listing.folder)
        if image is None:
            alone.append(mask)
            continue
        found[mask] = (image, structure)
    kinds = {"".join(filter(str.isalpha, home.name.lower())).rstrip("s") for home in homes.values()}
    if not found or (alone and len(alone) >= len(found)):
        return None
    if len(kinds) > 1:
        names = " and ".join(sorted({home.name for home in homes.values()}))
        what = f"there are several folders that may hold the masks, {names}"
        raise bad(listing.folder, what, "Leave one in the folder, or write labels.csv (path,mask).")
    if alone:
        what = f"{counted(len(alone), 'mask')} without an image of that name, first this one"
        raise bad(alone[0], what, "Add the image, or take the mask away.")
    checked = {mask: image for mask, (image, _) in found.items()}
    if not any(
        looks_like_mask(mask, image) for mask, image in list(checked.items())[:8]
    ) and not any(IMAGES.fullmatch(parent.name) for image in images for parent in image.parents):
        return None
    return _content(images, found, listing, homes)


def _partner(
    mask: Path, home: Path, by_stem: Mapping[str, list[Path]], folder: Path
) -> tuple[Path | None, str]:
    """The image of a mask, and the structure that it marks ("" if it does not say)."""
    stem = stem_of(mask).casefold()
    stems = [stem, unmasked(stem_of(mask)) or ""]
    stems += [stem[:i] for i in range(len(stem) - 1, 0, -1) if stem[i] in SEPARATORS]
    named = next((t for t in stems if t.casefold() in by_stem), None)
    if named is None:
        return None, ""
    given = by_stem[named.casefold()]
    part = part_of(mask, folder)
    same = [f for f in given if part_of(f, folder) == part] or given
    if len(same) > 1:
        below = mask.parent.relative_to(home)
        same = [f for f in same if f.parent.name == below.name] or same
    if len(same) > 1:
        what = f"it could belong to {same[0]} or {same[1]}"
        raise bad(mask, what, "Write labels.csv with the columns path,mask.")
    image = same[0]
    structure = _structure(mask, image)
    inner = mask.parent.relative_to(home).parts
    if not structure and inner and inner[-1].lower() not in {*PARTS, image.parent.name.lower()}:
        structure = inner[-1]
    return image, structure


def _structure(mask: Path, image: Path) -> str:
    """`liver` for `case1_liver.png` or `case1_liver_mask.png` of `case1.png`."""
    rest = stem_of(mask)[len(stem_of(image)) :].strip(SEPARATORS)
    if not rest or unmasked(f"x_{rest}") == "x" or rest.isdigit():
        return ""
    inner = unmasked(rest) or rest
    return "" if re.fullmatch(WORDS, inner, re.I) else inner


def _content(
    images: Sequence[Path],
    found: Mapping[Path, tuple[Path, str]],
    listing: Listing,
    homes: Mapping[Path, Path],
) -> Content:
    """Content of images, and masks each with its image, its structure, and its folder if any."""
    masks: dict[Path, list[tuple[Path, str]]] = {}
    for mask, (image, structure) in sorted(found.items()):
        masks.setdefault(image, []).append((mask, structure))
    names = tuple(sorted({structure for _, structure in found.values() if structure}))
    mixed = next((m for m, (_, s) in sorted(found.items()) if names and not s), None)
    if mixed:
        what = f"it names no structure, and others do ({', '.join(names)})"
        raise bad(mixed, what, "Leave one of the two in the folder.")
    chosen, part, issues = training_part(
        [(part_of(image, listing.folder), image) for image in images], listing.folder
    )
    rows = [_row(image, masks[image], names, part) for image in chosen if image in masks]
    used = {mask for row in rows for mask, _ in masks[row.path]}
    without = [image for image in chosen if image not in masks]
    issues += unmarked(without, listing.folder, "without a mask, left out")
    several = sum(len(masks[row.path]) > 1 for row in rows)
    what = "volume" if volume_suffix(rows[0].path) else "image"
    source = min(homes[mask] for mask in used) if homes else min(used)
    place = f"in {source.relative_to(listing.folder)}" if homes else "beside them"
    line = f"read as {what}s with masks {place}: {counted(len(rows), what)}"
    line += f", {classes_said(names)}, a mask for each" if names else ""
    line += f", {several} with several masks, joined" if several and not names else ""
    is_voc = source.name.lower() == VOC and not names
    line += f", {VOID} is not labeled" if is_voc else ""
    return Content(
        "images and masks",
        source,
        line,
        {MASK: rows},
        names=names,
        unlabeled=VOID if is_voc else None,
        issues=tuple(issues),
    )


def _row(image: Path, masks: list[tuple[Path, str]], names: tuple[str, ...], part: str) -> Row:
    if len(masks) == 1 and not names:
        return Row(image, "", split=part, mask=masks[0][0])
    if any(volume_suffix(mask) for mask, _ in masks):
        what = "it is one of several masks of a volume"
        raise bad(masks[0][0], what, "Join them to one volume of class numbers 1, 2, ...")
    numbers = [(mask, names.index(name) + 1 if name else 1) for mask, name in masks]
    files = tuple(mask for mask, _ in masks)
    return DrawnRow(
        image, "", split=part, mask=files[0], draw=partial(joined, numbers), files=files
    )


def joined(masks: Sequence[tuple[Path, int]], shape: tuple[int, int]) -> UInt8[ndarray, "h w"]:
    """Join black-and-white masks, each with its class number; the later ones lie on top.

    Raises:
        DataError: one cannot be read, has other values, or another size.
    """
    whole = np.zeros(shape, np.uint8)
    for path, number in masks:
        values = stored(path, palette=True)
        values = values if values.ndim == 2 else values[:, :, :3].max(2)
        if values.shape != shape:
            sides = [f"{s[1]} x {s[0]}" for s in (values.shape, shape)]
            what = f"it is {sides[0]} pixels, and its image {sides[1]}"
            raise bad(path, what, "Export both from the same image.")
        if len(np.unique(values)) > 2:
            what = f"it holds {len(np.unique(values))} values, not black and white"
            raise bad(path, what, "A mask for each structure marks it by one value.")
        whole[values > 0] = number
    return whole
